//! `dial` as the `ProxyCommand` of a real ssh, to a real sshd behind `listen --forward`.
//!
//! `STILLWIRE_SSHD` names what runs the server; without it the usual places are looked through.
#![cfg(unix)]

use crate::support::{Input, Place, noise, start, wait_for};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The program, where packages put it; servers' are not in everybody's path.
fn find(name: &str) -> Option<PathBuf> {
    let variable = format!("STILLWIRE_{}", name.to_uppercase());
    if let Some(given) = std::env::var_os(variable) {
        return Some(given.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    let servers = [
        "/usr/sbin",
        "/usr/local/sbin",
        "/sbin",
        "/opt/homebrew/sbin",
    ];
    places.extend(servers.map(PathBuf::from));
    let mut found = places.into_iter().map(|place| place.join(name));
    found.find(|file| file.is_file())
}

fn keygen(keygen: &Path, file: &Path) {
    let made = Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .status();
    assert!(made.unwrap().success());
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ssh_comes_through_as_a_proxy_command() {
    let tools = ["ssh", "sshd", "ssh-keygen"].map(|name| (name, find(name)));
    for (name, found) in &tools {
        if found.is_none() {
            eprintln!("skipped: there is no {name}");
            return;
        }
    }
    let [ssh, sshd, key_maker] = tools.map(|(_, found)| found.unwrap());
    let place = Place::directory();
    let (host, user) = (place.path("host"), place.path("user"));
    keygen(&key_maker, &host);
    keygen(&key_maker, &user);
    let allowed = place.path("allowed");
    fs::copy(user.with_extension("pub"), &allowed).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
         StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n",
        host.display(),
        allowed.display()
    );
    let config = place.write("sshd_config", config.as_bytes());
    let mut server = Server(
        Command::new(&sshd)
            .args(["-D", "-e", "-f"])
            .arg(&config)
            .stderr(fs::File::create(place.path("sshd.log")).unwrap())
            .spawn()
            .unwrap(),
    );
    let mut up = false;
    wait_for(|| {
        up = TcpStream::connect(("127.0.0.1", port)).is_ok();
        // Some need a directory that only their package makes.
        up || server.0.try_wait().unwrap().is_some()
    });
    if !up {
        let told = fs::read_to_string(place.path("sshd.log")).unwrap();
        eprintln!("skipped: this sshd does not run here: {}", told.trim());
        return;
    }
    let listener = start(
        place.listening("listen", &["--forward", &format!("127.0.0.1:{port}")]),
        Input::Nothing,
    );
    wait_for(|| place.path("ticket").exists());
    let proxy = format!(
        "{} -q dial --ticket-file {}",
        env!("CARGO_BIN_EXE_stillwire"),
        place.path("ticket").display()
    );
    let sent = noise(1_000_000);
    let input = place.write("input", &sent);
    let known = place.path("known");
    let mut command = Command::new(&ssh);
    command
        .args(["-o", &format!("ProxyCommand={proxy}")])
        .args(["-o", &format!("UserKnownHostsFile={}", known.display())])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"])
        .args(["-F", "none", "-i"])
        .arg(&user)
        .args(["nobody-in-particular", "cat"])
        .stdin(fs::File::open(input).unwrap());
    let done = start(command, Input::Kept).finish().expect(0);
    assert!(done.stdout == sent, "{} bytes came back", done.stdout.len());
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
}
