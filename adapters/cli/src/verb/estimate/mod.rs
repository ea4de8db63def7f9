//! `stillwire estimate [SERVICE]`

mod model;
mod prices;

use crate::args::Estimate;
use crate::exit::Fault;
use crate::run::Run;
use crate::units;
use model::{Count, Profiles, SAMPLE, SAMPLE_TIME};
use prices::{Class, Prices};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use stillwire_tokio::{Options, Store};

const GIB: u64 = 1 << 30;

/// One line of the bill.
struct Line {
    name: &'static str,
    what: String,
    /// Requests, by class; fractions of the sample.
    requests: Vec<(Class, f64)>,
}

impl Line {
    /// `times` the counted requests.
    fn new(name: &'static str, what: String, count: &Count, times: f64) -> Self {
        let requests = Class::ALL
            .into_iter()
            .filter_map(|class| {
                let n = *count.get(class.name())?;
                (n > 0).then_some((class, n as f64 * times))
            })
            .collect();
        Self {
            name,
            what,
            requests,
        }
    }

    fn cost(&self, prices: &Prices) -> f64 {
        let cost = |(class, n): &(Class, f64)| n * prices.per_10k(*class) / 10_000.0;
        self.requests.iter().map(cost).sum()
    }

    /// `8 write × 0.055 + 14 read × 0.0044, per 10,000`.
    fn arithmetic(&self, prices: &Prices) -> String {
        let mut text = String::new();
        for (class, n) in &self.requests {
            let plus = if text.is_empty() { "" } else { " + " };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "{plus}{n:.0} {} × {}",
                class.name(),
                prices.per_10k(*class)
            );
        }
        format!("({text}) / 10,000")
    }
}

/// Counts, multiplies and prints. Sends nothing.
pub(crate) fn run(verb: &Estimate, run: &Run) -> Result<(), Fault> {
    let service = verb.service.name();
    let prices = Prices::load(service, verb.prices.as_deref())?;
    let profiles = nowhere(service)?;
    let idle = verb.idle.unwrap_or_default();
    let waiting = verb.waiting.unwrap_or_default();
    // Always a whole sample of each: the last lines tell what a GiB and an hour cost.
    let counts = model::count(service, &profiles, &run.config(), SAMPLE, true)?;
    let carried = if verb.bytes == 0 || verb.bytes >= SAMPLE {
        counts.carry.clone()
    } else {
        model::count(service, &profiles, &run.config(), verb.bytes, false)?.carry
    };
    let connections = verb.connections as f64;
    let samples = (verb.bytes as f64 / SAMPLE as f64).max(1.0);
    let hours = |time: Duration| time.as_secs_f64() / SAMPLE_TIME.as_secs_f64();
    let mut lines = Vec::new();
    if verb.connections > 0 {
        let what = units::count(verb.connections, "connection");
        lines.push(Line::new("connect", what, &counts.connect, connections));
    }
    if verb.bytes > 0 {
        let what = format!("{} each, dialer to listener", units::bytes(verb.bytes));
        lines.push(Line::new("carry", what, &carried, samples * connections));
    }
    if !idle.is_zero() {
        let what = format!("{} each, both ends", units::long(idle));
        let times = hours(idle) * connections;
        lines.push(Line::new("idle", what, &counts.idle, times));
    }
    if !waiting.is_zero() {
        let what = format!("{} of a listener", units::long(waiting));
        lines.push(Line::new("waiting", what, &counts.waiting, hours(waiting)));
    }
    let gib = GIB as f64 / SAMPLE as f64;
    let per = |count: &Count, times| Line::new("", String::new(), count, times).cost(&prices);
    let totals = Totals {
        total: lines.iter().map(|line| line.cost(&prices)).sum(),
        idle_hour: per(&counts.idle, 1.0),
        waiting_hour: per(&counts.waiting, 1.0),
        gib: per(&counts.carry, gib),
        traffic: verb.bytes as f64 * connections / 1e9 * prices.traffic,
    };
    report(run, service, &prices, &lines, &totals);
    Ok(())
}

struct Totals {
    total: f64,
    idle_hour: f64,
    waiting_hour: f64,
    gib: f64,
    traffic: f64,
}

fn report(run: &Run, service: &str, prices: &Prices, lines: &[Line], totals: &Totals) {
    let policy = format!("{:?}", run.global.poll).to_lowercase();
    let currency = &prices.currency;
    let mut human = format!(
        "prices    {service}, as of {}, in {currency} for 10,000 requests\n",
        prices.as_of
    );
    if let Some(page) = &prices.page {
        let _ = writeln!(human, "          list prices: check them against {page}");
    }
    let mut parts = Vec::new();
    for line in lines {
        let cost = line.cost(prices);
        let _ = writeln!(
            human,
            "{:<9} {}: {} = {cost:.6}",
            line.name,
            line.what,
            line.arithmetic(prices)
        );
        let requests: serde_json::Map<_, _> = line
            .requests
            .iter()
            .map(|(class, n)| (class.name().to_owned(), json!(n.round())))
            .collect();
        parts.push(json!({ "part": line.name, "requests": requests, "cost": cost }));
    }
    let _ = write!(
        human,
        "total     {:.6} {currency}, polling as {policy}\n\
         traffic   {:.6} {currency} more if it leaves the region\n\
         per hour  {:.6} for a silent connection, {:.6} for a waiting listener\n\
         per GiB   {:.6}, without traffic",
        totals.total, totals.traffic, totals.idle_hour, totals.waiting_hour, totals.gib
    );
    let json = json!({
        "service": service,
        "policy": policy,
        "currency": currency,
        "as_of": prices.as_of,
        "price_page": prices.page,
        "parts": parts,
        "total": totals.total,
        "traffic": totals.traffic,
        "silent_connection_hour": totals.idle_hour,
        "waiting_listener_hour": totals.waiting_hour,
        "gib": totals.gib,
    });
    run.out.result(&json, &human);
}

/// The numbers of an account that does not exist: what its key allows, and what a ticket's SAS do.
fn nowhere(service: &str) -> Result<Profiles, Fault> {
    let options = Options {
        environment: Arc::new(|name| match name {
            "AZURE_STORAGE_ACCOUNT" => Some("nobody".to_owned()),
            "AZURE_STORAGE_KEY" => Some("bm9ib2R5".to_owned()),
            _ => None,
        }),
        ..Options::default()
    };
    let store = Store::from_address(service, &options).map_err(|error| Fault::address(&error))?;
    Ok(Profiles {
        listener: store.profile(),
        dialer: store.ticket().map_err(Fault::from)?.profile(),
    })
}
