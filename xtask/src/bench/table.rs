//! The figures as a Markdown table.

use serde_json::Value;

use super::pair::Measured;
use super::rows::{Figure, Row, Service};

type Figures<'a> = (&'a Row, [Option<Measured>; 2]);

pub(super) fn print(rows: &[Figures<'_>], ceilings: &[(Service, Value)]) {
    println!("| Work | Go | Stillwire | Faster | Requests Go | Requests Stillwire | Fewer |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (row, [go, ours]) in rows {
        let cell = |side: &Option<Measured>, show: &dyn Fn(&Measured) -> String| {
            side.as_ref().map_or_else(|| "–".to_owned(), show)
        };
        let time = |m: &Measured| match row.work.figure {
            Figure::Memory => {
                let [dialer, listener] = m.memory.map(|kib| kib as f64 / 1024.0);
                format!("{:.2} s; {dialer:.0} and {listener:.0} MiB", m.seconds)
            }
            Figure::Idle => format!("{:.0} s looked at", m.seconds),
            Figure::Total => format!("{:.2} s", m.seconds),
            Figure::RoundTrip | Figure::Connect => format!("{:.1} ms", m.seconds * 1e3),
        };
        let count = |m: &Measured| m.requests.to_string();
        let (faster, fewer) = match (go, ours) {
            (Some(go), Some(ours)) => {
                let fewer = format!("{:.1}×", go.requests as f64 / ours.requests as f64);
                if row.work.figure == Figure::Idle {
                    ("–".into(), fewer)
                } else {
                    (format!("{:.1}×", go.seconds / ours.seconds), fewer)
                }
            }
            _ => ("–".into(), "–".into()),
        };
        println!(
            "| {} | {} | {} | {faster} | {} | {} | {fewer} |",
            row.about,
            cell(go, &time),
            cell(ours, &time),
            cell(go, &count),
            cell(ours, &count),
        );
    }
    for (service, ceiling) in ceilings {
        println!();
        ceiling_of(*service, ceiling);
        let of_service = |(row, _): &&Figures<'_>| row.service == *service && row.has_ceiling();
        for (row, [_, ours]) in rows.iter().filter(of_service) {
            let leaves = row.work.ours.contains(&"--queue=leave");
            let name = if leaves { "leave_echo_s" } else { "echo_s" };
            if let (Some(ours), Some(best)) = (ours, ceiling[name].as_f64()) {
                let share = 100.0 * best / ours.seconds;
                println!("{}: {share:.0} % of that ceiling.", row.about);
            }
        }
    }
}

/// What the emulator did for bare requests.
fn ceiling_of(service: Service, ceiling: &Value) {
    let figure = |name: &str| ceiling[name].as_f64().unwrap_or(f64::NAN);
    match service {
        Service::Blob => println!(
            "The emulator's ceiling in this run, bare appends and ranges of 16 MiB: {:.0} MiB/s \
             in, {:.0} MiB/s out; the requests of a 100 MB echo in {:.2} s over one connection, \
             {:.2} s over two.",
            figure("append_mib_s"),
            figure("read_mib_s"),
            figure("echo_one_connection_s"),
            figure("echo_two_connections_s"),
        ),
        Service::Queue => println!(
            "The emulator's ceiling for queues in this run, bare requests: {:.0} puts, {:.0} gets \
             of 32 and {:.0} deletes a second, of 48 KB messages; the {} requests of a 100 MB echo \
             in {:.2} s, in {:.2} s without the deletes.",
            figure("puts_s"),
            figure("gets_s"),
            figure("deletes_s"),
            figure("requests"),
            figure("echo_s"),
            figure("leave_echo_s"),
        ),
        Service::Table => println!(
            "The emulator's ceiling for tables in this run, bare requests: rows of 960 KiB in at \
             {:.0} MiB/s, three to a transaction at {:.0} MiB/s, out at {:.0} MiB/s; the {} \
             requests of a 100 MB echo in {:.2} s.",
            figure("insert_mib_s"),
            figure("transaction_mib_s"),
            figure("query_mib_s"),
            figure("requests"),
            figure("echo_s"),
        ),
    }
}
