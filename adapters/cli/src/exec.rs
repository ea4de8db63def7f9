//! A command as the other end of a relay: `listen --exec`.

use crate::exit::{Code, Fault};
use crate::relay::{Local, relay};
use crate::run::{FAREWELL, Run};
use crate::units;
use std::process::Stdio;
use stillwire_tokio::Connection;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Runs the command with the connection as its stdin and stdout; stderr is ours. It ends when both
/// directions have, and is killed when the connection fails.
pub(crate) async fn serve(run: &Run, connection: Connection, command: &str) -> Result<(), Fault> {
    let mut child = start(&connection, command)?;
    let (Some(source), Some(sink)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(Fault::new(Code::Local, "the command has no pipes"));
    };
    let local = Local {
        source,
        sink,
        ends_with_peer: false,
        fault: Fault::file,
    };
    let result = relay(run, connection, local).await;
    if result.is_err() {
        let _ = child.start_kill();
    }
    // It has closed its stdout, or nobody reads it any more.
    let Ok(ended) = timeout(FAREWELL, child.wait()).await else {
        let _ = child.start_kill();
        return result;
    };
    result?;
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Fault::new(
            Code::Local,
            format!("the command failed: {status}"),
        )),
        Err(error) => Err(Fault::file("cannot wait for the command", &error)),
    }
}

fn start(connection: &Connection, command: &str) -> Result<Child, Fault> {
    let mut shell = if cfg!(windows) {
        let mut shell = Command::new("cmd");
        shell.arg("/C");
        shell
    } else {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c");
        shell
    };
    shell
        .arg(command)
        .env("STILLWIRE_CONNECTION", connection.id().to_string())
        .env(
            "STILLWIRE_CHANNEL_BINDING",
            units::hex(&connection.channel_binding()),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    // What opens our account is none of its business.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AZURE_STORAGE_") {
            shell.env_remove(name);
        }
    }
    shell
        .spawn()
        .map_err(|error| Fault::file("cannot run the command", &error))
}
