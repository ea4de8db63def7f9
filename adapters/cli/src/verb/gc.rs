//! `stillwire gc STORE`

use crate::args::Gc;
use crate::exit::Fault;
use crate::run::Run;
use crate::units;
use futures_util::StreamExt;
use serde_json::json;
use stillwire_tokio::SweepEvent;

/// Removes what dead listeners left.
pub(crate) async fn run(verb: &Gc, run: &Run) -> Result<(), Fault> {
    let store = run.open_place(&verb.place)?;
    let mut sweep = store.sweep(run.config(), verb.older, verb.dry_run)?;
    let (mut found, mut removed) = (0_u64, 0_u64);
    let mut kept = None;
    let sweeping = async {
        while let Some(event) = sweep.next().await {
            match event {
                SweepEvent::Found { id, still } => {
                    found += 1;
                    if verb.dry_run {
                        let seconds = still.as_secs();
                        let json = json!({ "found": id.to_string(), "still_seconds": seconds });
                        let human = format!("{id}  still for {}", units::long(still));
                        run.out.result(&json, &human);
                    }
                }
                SweepEvent::Removed(id) => {
                    removed += 1;
                    run.out
                        .result(&json!({ "removed": id.to_string() }), &id.to_string());
                }
                SweepEvent::Kept(id, failure) => {
                    let fault = Fault::from(&failure);
                    tracing::debug!(%id, %failure, "stays");
                    run.out.trouble(&fault);
                    kept = Some(fault);
                }
                SweepEvent::Finished(result) => return result.map_err(Fault::from),
            }
        }
        Ok(())
    };
    let result = run.interrupt.or(sweeping).await;
    let json = json!({ "event": "swept", "found": found, "removed": removed });
    let human = if verb.dry_run {
        format!("{} would go", units::count(found, "session"))
    } else {
        format!("{} removed", units::count(removed, "session"))
    };
    run.out.event(&json, &human);
    match (result, kept) {
        (Ok(()), Some(fault)) | (Err(fault), _) => Err(fault.over(&store.name)),
        (Ok(()), None) => Ok(()),
    }
}
