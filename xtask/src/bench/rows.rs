//! What is measured: pieces of work, each over some of the three services.

/// One of the storage services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Blob,
    Queue,
    Table,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Blob, Self::Queue, Self::Table];

    /// What both peers and the command line call it.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::Blob => "azblob",
            Self::Queue => "azqueue",
            Self::Table => "aztable",
        }
    }

    /// The end of a row's name: rows over blobs have none.
    fn suffix(self) -> &'static str {
        match self {
            Self::Blob => "",
            Self::Queue => "-queue",
            Self::Table => "-table",
        }
    }
}

/// Which number of a run the row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// From the first write until everything is there.
    Total,
    /// The mean of many round trips.
    RoundTrip,
    /// Until dial gives a connection; the middle one of several.
    Connect,
    /// The most memory each side had resident.
    Memory,
    /// Reads of a connection that carries nothing, both sides together, for an hour.
    Idle,
}

/// One piece of work that both implementations do.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    name: &'static str,
    about: &'static str,
    services: &'static [Service],
    /// What the dialer does, and the listener with it.
    pub(crate) dial: &'static str,
    pub(crate) listen: &'static str,
    pub(crate) arguments: &'static [(&'static str, u64)],
    /// Flags of ours that Go has nothing like.
    pub(crate) ours: &'static [&'static str],
    /// Milliseconds added to each request.
    pub(crate) latency: u64,
    /// Counting costs time too: these are timed without the proxy, then counted in
    /// a second run through it.
    pub(crate) direct: bool,
    pub(crate) figure: Figure,
}

/// A piece of work over one service.
pub(crate) struct Row {
    /// What `--only` takes.
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) service: Service,
    pub(crate) work: Work,
}

/// What both sides hand to one read or write: the buffer of Go's own `io.Copy`.
const BUFFER: u64 = 32 * 1024;
const ALL: &[Service] = &Service::ALL;
const BLOB: &[Service] = &[Service::Blob];
const QUEUE: &[Service] = &[Service::Queue];

/// 100 MB there and back.
const ECHO: Work = Work {
    name: "echo",
    about: "100 MB echo",
    services: ALL,
    dial: "echo",
    listen: "echo",
    arguments: &[("bytes", 100_000_000), ("buffer", BUFFER)],
    ours: &[],
    latency: 0,
    direct: true,
    figure: Figure::Total,
};

const IDLE: Work = Work {
    name: "idle",
    about: "idle, reads an hour",
    // Each waits for what the other never sends.
    dial: "receive",
    listen: "sink",
    arguments: &[],
    direct: false,
    figure: Figure::Idle,
    ..ECHO
};

const WORKS: &[Work] = &[
    ECHO,
    Work {
        name: "echo-large",
        about: "100 MB echo, writes of 4 MiB",
        services: BLOB,
        arguments: &[("bytes", 100_000_000), ("buffer", 4 << 20)],
        ..ECHO
    },
    Work {
        name: "echo-leave",
        about: "100 MB echo, ours deletes nothing",
        services: QUEUE,
        ours: &["--queue=leave"],
        ..ECHO
    },
    Work {
        name: "echo-far",
        about: "20 MB echo, 20 ms",
        arguments: &[("bytes", 20_000_000), ("buffer", BUFFER)],
        latency: 20,
        direct: false,
        ..ECHO
    },
    Work {
        name: "writes-far",
        about: "2,000 writes of 1 KiB, 20 ms",
        dial: "writes",
        listen: "sink",
        arguments: &[("count", 2000), ("size", 1024)],
        latency: 20,
        direct: false,
        ..ECHO
    },
    Work {
        name: "ping",
        about: "ping-pong of 1 KiB",
        dial: "pingpong",
        arguments: &[("count", 100), ("size", 1024)],
        figure: Figure::RoundTrip,
        ..ECHO
    },
    Work {
        name: "ping-far",
        about: "ping-pong of 1 KiB, 20 ms",
        dial: "pingpong",
        arguments: &[("count", 50), ("size", 1024)],
        latency: 20,
        direct: false,
        figure: Figure::RoundTrip,
        ..ECHO
    },
    Work {
        name: "connect",
        about: "connect",
        dial: "connect",
        arguments: &[],
        figure: Figure::Connect,
        ..ECHO
    },
    Work {
        name: "connect-far",
        about: "connect, 20 ms",
        dial: "connect",
        arguments: &[],
        latency: 20,
        direct: false,
        figure: Figure::Connect,
        ..ECHO
    },
    Work {
        name: "memory",
        about: "1 GB one way",
        services: BLOB,
        dial: "send",
        listen: "sink",
        arguments: &[("bytes", 1_000_000_000), ("buffer", BUFFER)],
        figure: Figure::Memory,
        ..ECHO
    },
    IDLE,
    Work {
        name: "idle-thrift",
        about: "idle, ours with thrift, reads an hour",
        ours: &["--poll=thrift"],
        ..IDLE
    },
];

/// All rows, service by service.
pub(crate) fn rows() -> Vec<Row> {
    let over = |service: Service| {
        let works = WORKS
            .iter()
            .filter(move |work| work.services.contains(&service));
        works.map(move |work| Row {
            name: format!("{}{}", work.name, service.suffix()),
            about: match service {
                Service::Blob => work.about.to_owned(),
                Service::Queue => format!("queue: {}", work.about),
                Service::Table => format!("table: {}", work.about),
            },
            service,
            work: *work,
        })
    };
    Service::ALL.into_iter().flat_map(over).collect()
}

impl Row {
    /// Whether the emulator's ceiling says something about it.
    pub(crate) fn has_ceiling(&self) -> bool {
        self.work.dial == "echo" && self.work.direct
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let rows = rows();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        for name in ["echo", "echo-far-queue", "writes-far-table", "idle-table"] {
            assert!(names.contains(name), "{name}");
        }
        assert!(!names.contains("memory-queue"));
    }
}
