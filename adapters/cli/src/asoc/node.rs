//! `stillwire asoc node --config F`

use super::{Secured, audit, fault, key, node_id, resolve, tls, warn_open};
use crate::args::asoc::{AsocNode, AsocTls};
use crate::exit::{Code, Fault};
use crate::key::KeyOptions;
use crate::run::Run;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use stillwire_core::asoc::AuditConfig;
use stillwire_tokio::asoc::{NodeEvent, NodeId, Options, Profile, Suite, start};

/// The configuration file. Unknown keys are refused: they are misspelt ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<String>,
    uuid: Option<String>,
    community: String,
    static_peers: Vec<String>,
    discovery: bool,
    discovery_bind: Option<String>,
    discovery_to: Option<String>,
    allowed: Option<Vec<String>>,
    hardened: bool,
    #[serde(rename = "key_file")]
    key: Option<PathBuf>,
    tls: bool,
    cert: Option<PathBuf>,
    ca: Option<PathBuf>,
    crl: Option<PathBuf>,
    server_name: Option<String>,
}

impl File {
    /// TLS as the options of the other verbs say it.
    fn tls(&self) -> Result<AsocTls, Fault> {
        let tls = AsocTls {
            tls: self.tls,
            cert: self.cert.clone(),
            ca: self.ca.clone(),
            crl: self.crl.clone(),
            server_name: self.server_name.clone(),
        };
        let idle = !tls.tls
            && (tls.cert.is_some()
                || tls.ca.is_some()
                || tls.crl.is_some()
                || tls.server_name.is_some());
        if idle {
            let what = "cert, ca, crl and server_name are of no use without tls = true";
            return Err(Fault::new(Code::Usage, what));
        }
        if tls.tls && tls.ca.is_none() {
            let what = "tls = true needs ca, the certificates of the authorities";
            return Err(Fault::new(Code::Usage, what));
        }
        Ok(tls)
    }
}

pub(super) async fn run(verb: &AsocNode, run: &Run) -> Result<(), Fault> {
    let path = verb.config.display();
    let text = std::fs::read_to_string(&verb.config)
        .map_err(|error| Fault::file(&format!("cannot read {path:?}"), &error))?;
    let file: File = toml::from_str(&text).map_err(|error| {
        let what = format!("{path:?} is no configuration: {}", error.message());
        Fault::new(Code::Usage, what).with_hint("stillwire asoc node --help shows all keys")
    })?;
    let secured = tls(&file.tls()?, file.listen.is_some())?;
    let mut options = options(file, verb, run).await?;
    options.wrap = secured.as_ref().map(Secured::wrap);
    if options.config.connection.profile == Profile::Default && secured.is_none() {
        warn_open(run);
    }
    let node = start(options).await.map_err(|error| fault(&error))?;
    if let Some(secured) = secured {
        secured.watch(run);
    }
    run.out.event(
        &json!({
            "event": "started",
            "node": node.id().to_string(),
            "address": node.local_addr().map(|at| at.to_string()),
        }),
        &match node.local_addr() {
            Some(at) => format!("node {} listens on {at}", node.id()),
            None => format!("node {} only dials", node.id()),
        },
    );
    // Connections are kept open, and what comes over them is read over: this node is the
    // cluster's witness, and its log is what it is run for.
    let connections = async {
        while let Some(connection) = node.accept().await {
            tokio::spawn(async move { while let Ok(Some(_)) = connection.accept().await {} });
        }
        Ok(())
    };
    let events = async {
        while let Some(event) = node.event().await {
            tell(run, &event);
        }
        Ok(())
    };
    let work = async { tokio::try_join!(connections, events).map(|_| ()) };
    run.interrupt.or(work).await
}

async fn options(file: File, verb: &AsocNode, run: &Run) -> Result<Options, Fault> {
    let keys = KeyOptions {
        key_file: verb.key.key_file.clone().or(file.key),
        key_command: verb.key.key_command.clone(),
    };
    let mut options = Options::new(node_id(file.uuid.as_deref())?, key(&keys, run)?);
    if let Some(listen) = &file.listen {
        options.listen = Some(resolve(listen).await?);
    }
    options.config.community = file.community;
    options.config.discovery = file.discovery;
    if file.hardened {
        options.config.connection.profile = Profile::Hardened(Suite::Aes256Gcm);
    }
    for peer in &file.static_peers {
        options.config.static_peers.push(resolve(peer).await?);
    }
    if let Some(at) = &file.discovery_bind {
        options.discovery_bind = resolve(at).await?;
    }
    if let Some(at) = &file.discovery_to {
        options.discovery_to = resolve(at).await?;
    }
    if let Some(allowed) = file.allowed {
        let allowed = allowed.iter().map(|text| node_id(Some(text)));
        options.config.audit = AuditConfig {
            allowed: Some(allowed.collect::<Result<BTreeSet<NodeId>, Fault>>()?),
            ..AuditConfig::default()
        };
    }
    // The log is the result: JSON Lines on stdout, whatever else is asked for.
    options.audit = Some(Arc::new(|event| {
        let line = audit(event);
        crate::output::print_line(&line.to_string());
    }));
    Ok(options)
}

fn tell(run: &Run, event: &NodeEvent) {
    let (json, human) = match event {
        NodeEvent::Found { node, address } => (
            json!({ "event": "found", "node": node.to_string(), "address": address.to_string() }),
            format!("found {node} at {address}"),
        ),
        NodeEvent::Lost { node } => (
            json!({ "event": "lost", "node": node.to_string() }),
            format!("lost {node}"),
        ),
        NodeEvent::Up { node, address, .. } => (
            json!({
                "event": "up",
                "node": node.map(|node| node.to_string()),
                "address": address.to_string(),
            }),
            format!("connected with {address}"),
        ),
        NodeEvent::Down { connection } => (
            json!({ "event": "down", "connection": connection.0 }),
            format!("connection {} is over", connection.0),
        ),
        _ => return,
    };
    run.out.event(&json, &human);
}
