//! What a terminal is shown, and nobody else. `script` of util-linux makes the terminal.

use crate::support::{Input, Place, noise, run, start, stillwire};
use std::ffi::OsStr;
use std::process::Command;

/// The same command, on a terminal that knows colours; [`None`], said aloud, without `script`.
fn on_a_terminal(command: &Command) -> Option<Command> {
    let version = Command::new("script").arg("--version").output();
    if !version.is_ok_and(|done| String::from_utf8_lossy(&done.stdout).contains("util-linux")) {
        println!("skipped: there is no script of util-linux, which makes a terminal");
        return None;
    }
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<_> = words.map(quoted).collect();
    // With the environment that `stillwire` has tidied up.
    let mut terminal = stillwire::<&str>([]);
    let changes: Vec<_> = terminal
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned)))
        .collect();
    terminal = Command::new("script");
    terminal.args(["-q", "-e", "-c", &quoted.join(" "), "/dev/null"]);
    for (name, value) in changes {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    if let Some(place) = command.get_current_dir() {
        terminal.current_dir(place);
    }
    terminal.env("TERM", "xterm-256color");
    Some(terminal)
}

fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))
}

/// What stays on the screen of a line that was written over and over.
fn screen(output: &[u8]) -> String {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let lines = text.split("\r\n").map(|line| {
        let last = line.rsplit("\u{1b}[2K").next().unwrap();
        last.trim_start_matches('\r').to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn progress_is_for_terminals_and_gives_way_to_the_results() {
    let place = Place::directory();
    place.write("first file", &noise(8_000_000));
    place.write("other file", &noise(2_000_000));
    let command = place.listening("recv", &["in"]);
    let Some(mut command) = on_a_terminal(&command) else {
        return;
    };
    command.current_dir(place.dir.path());
    let receiver = start(command, Input::Open);
    let sending = place.dialing("send", &["first file", "other file"]);
    let sender = run(on_a_terminal(&sending).unwrap(), Input::Open).expect(0);
    let receiver = receiver.finish().expect(0);
    for (done, word) in [(sender, "sent"), (receiver, "received")] {
        let raw = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            raw.contains("first file ") && raw.contains("/8.00 MB"),
            "{raw:?}"
        );
        let screen = screen(&done.stdout);
        // Neither bar is left, nor does one share a line with what is said.
        assert!(
            !screen.contains("MB/s 0s") && !screen.contains("=="),
            "{screen}"
        );
        let digests = screen.lines().filter(|line| line.ends_with(" file"));
        for (line, name) in digests.clone().zip(["first file", "other file"]) {
            let (digest, rest) = line.split_at(64);
            assert!(
                digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{line}"
            );
            assert_eq!(rest, format!("  {name}"));
        }
        assert_eq!(digests.count(), 2, "{screen}");
        let summary = format!("{word} 2 files: 10.0 MB in ");
        assert!(
            screen.lines().any(|line| line.starts_with(&summary)),
            "{screen}"
        );
    }
}

#[test]
fn no_progress_without_a_terminal_and_none_when_quiet_or_for_programs() {
    let place = Place::directory();
    let file = place.write("file", &noise(3_000_000));
    let (file, into) = (file.to_str().unwrap(), place.path("in"));
    let into = into.to_str().unwrap();
    let receiver = start(place.listening("recv", &[into]), Input::Nothing);
    let sender = run(place.dialing("send", &[file]), Input::Nothing).expect(0);
    for told in [sender.stderr, receiver.finish().expect(0).stderr] {
        assert!(!told.contains('\r') && !told.contains('\u{1b}'), "{told:?}");
    }
    for option in ["-q", "--json"] {
        let receiver = start(place.listening("recv", &[into, "--force"]), Input::Nothing);
        let sending = place.dialing("send", &[file, option]);
        let Some(sending) = on_a_terminal(&sending) else {
            return;
        };
        let sent = run(sending, Input::Open).expect(0);
        assert!(!sent.stdout.contains(&0x1b), "{option}");
        receiver.finish().expect(0);
    }
}

#[test]
fn nothing_is_coloured_where_colours_are_not_wanted() {
    for arguments in [
        &["dial", "--frob"][..],
        &["-h"],
        &["demo", "--bytes", "1kB", "-vv"],
    ] {
        let Some(mut command) = on_a_terminal(&stillwire(arguments)) else {
            return;
        };
        command.env("NO_COLOR", "1");
        let done = run(command, Input::Open);
        let shown = String::from_utf8_lossy(&done.stdout);
        assert!(shown.len() > 50, "{arguments:?}: {shown}");
        assert!(!shown.contains("\u{1b}["), "{arguments:?}: {shown:?}");
    }
    // Elsewhere this terminal has them, and a pipe never.
    let help = run(on_a_terminal(&stillwire(["-h"])).unwrap(), Input::Open).expect(0);
    assert!(String::from_utf8_lossy(&help.stdout).contains("\u{1b}[1m"));
    let piped = run(stillwire(["-h"]), Input::Nothing).expect(0);
    assert!(!piped.stdout.contains(&0x1b));
}
