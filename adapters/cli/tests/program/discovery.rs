//! Discovery by broadcast, between network namespaces that the test makes: three hosts on a bridge,
//! nothing of which leaves them. Where namespaces may not be made the test says so and skips.

use crate::support::{Input, Running, run, start, stillwire, wait_for};
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const KEY: &str = "a key of the cluster, 32 bytes..";
const OTHER: &str = "the key of quite another cluster";

/// A network namespace; it is there for as long as a process in it waits for the end of its input.
struct Host {
    holder: Child,
    number: u8,
}

impl Host {
    /// The host with the bridge, in a user namespace of its own.
    fn first() -> Option<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net"]);
        let host = Self::hold(unshare, 1)?;
        let made = host.ip("link set lo up") && host.ip("link add hub type bridge");
        let up = made && host.ip("addr add 10.77.0.1/24 dev hub") && host.ip("link set hub up");
        (up && host.ip("route add default dev hub")).then_some(host)
    }

    fn hold(mut command: Command, number: u8) -> Option<Self> {
        let holder = command
            .args(["sh", "-c", "echo up; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut host = Self {
            holder: holder.ok()?,
            number,
        };
        let mut said = [0; 3];
        let up = host.holder.stdout.as_mut()?.read_exact(&mut said).is_ok();
        (up && said == *b"up\n").then_some(host)
    }

    /// Another host, on the bridge of this one.
    fn another(&self, number: u8) -> Option<Self> {
        let mut unshare = self.inside("unshare", false);
        unshare.arg("--net");
        let host = Self::hold(unshare, number)?;
        let (wire, there) = (format!("wire{number}"), host.holder.id());
        let here = self.ip(&format!(
            "link add {wire} type veth peer name wire netns {there}"
        )) && self.ip(&format!("link set {wire} master hub"))
            && self.ip(&format!("link set {wire} up"));
        let there = here
            && host.ip("link set lo up")
            && host.ip(&format!("addr add 10.77.0.{number}/24 dev wire"))
            && host.ip("link set wire up")
            && host.ip("route add default dev wire");
        there.then_some(host)
    }

    /// A command inside; without `net` only as the user of the namespaces.
    fn inside(&self, program: &str, net: bool) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user"]);
        if net {
            command.arg("--net");
        }
        command.args(["--target", &self.holder.id().to_string(), program]);
        command
    }

    fn ip(&self, words: &str) -> bool {
        let mut command = self.inside("ip", true);
        let status = command
            .args(words.split(' '))
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// `stillwire asoc` inside.
    fn asoc(&self, key: &str, arguments: &[&str]) -> Command {
        let ours = stillwire(["asoc"]);
        let mut command = self.inside(ours.get_program().to_str().unwrap(), true);
        for (name, value) in ours.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.arg("asoc").args(arguments);
        command.env("STILLWIRE_ASOC_KEY", key);
        command
    }

    fn uuid(&self) -> String {
        let number = self.number;
        format!("0000000{number}-0000-4000-8000-000000000000")
    }

    /// A node that discovers others as it does by default: broadcast on port 9999.
    fn node(&self, key: &str, place: &Path) -> Running {
        let config = place.join(format!("{}.toml", self.number));
        let text = format!(
            "uuid = \"{}\"\nlisten = \"10.77.0.{}:9000\"\ncommunity = \"blue\"\ndiscovery = true\n",
            self.uuid(),
            self.number
        );
        std::fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        start(
            self.asoc(key, &["node", "--config", config]),
            Input::Nothing,
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Waits until a node's audit log has an event of this kind that is as it should be.
fn logs(node: &Running, kind: &str, is: impl Fn(&Value) -> bool) {
    wait_for(|| {
        let log = node.printed();
        // The last line may not be complete yet.
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut events = lines.filter(|event: &Value| event["event"] == kind);
        events.any(|event| is(&event))
    });
}

#[test]
fn nodes_find_each_other_by_broadcast_and_one_with_another_key_is_not_found() {
    let hosts = Host::first().and_then(|first| {
        let (second, third) = (first.another(2)?, first.another(3)?);
        Some((first, second, third))
    });
    let Some((first, second, third)) = hosts else {
        println!("skipped: network namespaces cannot be made here (unshare, nsenter, ip)");
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let stranger = third.node(OTHER, place.path());
    let friend = second.node(KEY, place.path());
    // Who only looks is told of the one with our key, and of no other.
    let look = ["discover", "--community", "blue", "--time", "8s"];
    let done = run(first.asoc(KEY, &look), Input::Nothing).expect(0);
    let found = String::from_utf8(done.stdout).unwrap();
    assert_eq!(found, format!("{} 10.77.0.2:9000\n", second.uuid()));
    let elsewhere = ["discover", "--community", "green", "--time", "4s"];
    let done = run(first.asoc(KEY, &elsewhere), Input::Nothing).expect(0);
    assert!(done.stdout.is_empty());
    // Two nodes find each other, and connect.
    let node = first.node(KEY, place.path());
    node.wait_to_hear(&format!("found {} at 10.77.0.2:9000", second.uuid()));
    friend.wait_to_hear(&format!("found {} at 10.77.0.1:9000", first.uuid()));
    wait_for(|| node.told().contains("connected with 10.77.0.2"));
    friend.wait_to_hear("connected with 10.77.0.1");
    for (node, other) in [(&node, &third), (&friend, &third), (&stranger, &first)] {
        assert!(!node.told().contains(&other.uuid()), "{}", node.told());
    }
    // The other key is in the log of both sides, with the address and without a name.
    for (node, from) in [(&node, "10.77.0.3"), (&stranger, "10.77.0.1")] {
        logs(node, "failure", |event| {
            event["class"] == "auth" && event["address"] == from && event["node"].is_null()
        });
    }
    logs(&friend, "success", |event| event["address"] == "10.77.0.1");
    for node in [node, friend, stranger] {
        node.signal(rustix::process::Signal::INT);
        let done = node.finish().expect(130);
        assert!(!String::from_utf8(done.stdout).unwrap().contains(KEY));
    }
}
