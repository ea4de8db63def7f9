//! `stillwire ticket STORE`

use crate::args::Ticket;
use crate::exit::Fault;
use crate::run::Run;
use serde_json::json;

/// Prepares the meeting place and prints a ticket.
pub(crate) async fn run(verb: &Ticket, run: &Run) -> Result<(), Fault> {
    let store = run.open_place(&verb.place)?;
    let ticket = run.interrupt.or(store.prepare(run.config())).await?;
    let ticket = ticket.to_string();
    let json = json!({
        "ticket": ticket,
        "store": store.name,
        "expires_in_seconds": run.global.expiry.as_secs(),
    });
    run.out.result(&json, &ticket);
    Ok(())
}
