//! The figures as a Markdown table.

use serde_json::Value;

use super::pair::Measured;
use super::{Figure, Row};

pub(super) fn print(rows: &[(&Row, [Option<Measured>; 2])], ceiling: Option<&Value>) {
    println!("| Work | Go | Stillwire | Faster | Requests Go | Requests Stillwire | Fewer |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (row, [go, ours]) in rows {
        let cell = |side: &Option<Measured>, show: &dyn Fn(&Measured) -> String| {
            side.as_ref().map_or_else(|| "–".to_owned(), show)
        };
        let time = |m: &Measured| match row.figure {
            Figure::Memory => {
                let [dialer, listener] = m.memory.map(|kib| kib as f64 / 1024.0);
                format!("{:.2} s; {dialer:.0} and {listener:.0} MiB", m.seconds)
            }
            Figure::Total => format!("{:.2} s", m.seconds),
            Figure::RoundTrip | Figure::Connect => format!("{:.1} ms", m.seconds * 1e3),
        };
        let count = |m: &Measured| m.requests.to_string();
        let (faster, fewer) = match (go, ours) {
            (Some(go), Some(ours)) => (
                format!("{:.1}×", go.seconds / ours.seconds),
                format!("{:.1}×", go.requests as f64 / ours.requests as f64),
            ),
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
    let Some(ceiling) = ceiling else { return };
    let figure = |name: &str| ceiling[name].as_f64().unwrap_or(f64::NAN);
    println!();
    println!(
        "The emulator's ceiling in this run, bare appends and ranges of 16 MiB: {:.0} MiB/s in, \
         {:.0} MiB/s out; the requests of a 100 MB echo in {:.2} s over one connection, {:.2} s \
         over two.",
        figure("append_mib_s"),
        figure("read_mib_s"),
        figure("echo_one_connection_s"),
        figure("echo_two_connections_s"),
    );
    for (row, [_, ours]) in rows {
        if let (true, Some(ours)) = (row.name.starts_with("echo") && row.direct, ours) {
            println!(
                "{}: {:.0} % of that ceiling.",
                row.about,
                100.0 * figure("echo_s") / ours.seconds
            );
        }
    }
}
