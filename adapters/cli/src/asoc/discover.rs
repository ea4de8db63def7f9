//! `stillwire asoc discover`

use super::{fault, key, node_id, resolve};
use crate::args::asoc::AsocDiscover;
use crate::exit::Fault;
use crate::run::Run;
use serde_json::json;
use std::net::SocketAddr;
use stillwire_tokio::asoc::{NodeEvent, Options, start};

pub(super) async fn run(verb: &AsocDiscover, run: &Run) -> Result<(), Fault> {
    let mut options = Options::new(node_id(None)?, key(&verb.key, run)?);
    options.config.community.clone_from(&verb.community);
    options.config.discovery = true;
    // We only listen: nobody is dialed, and our own announcement goes nowhere.
    options.config.dial_discovered = false;
    options.discovery_bind = resolve(&verb.bind).await?;
    options.discovery_to = SocketAddr::from(([127, 0, 0, 1], 9));
    let node = start(options).await.map_err(|error| fault(&error))?;
    let looking = async {
        while let Some(event) = node.event().await {
            if let NodeEvent::Found { node, address } = event {
                run.out.result(
                    &json!({ "node": node.to_string(), "address": address.to_string() }),
                    &format!("{node} {address}"),
                );
            }
        }
        Ok(())
    };
    let limit = async {
        tokio::time::sleep(verb.time).await;
        Ok(())
    };
    tokio::select! {
        result = run.interrupt.or(looking) => result,
        result = limit => result,
    }
}
