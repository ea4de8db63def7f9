//! Bare puts, gets of 32 and deletes.

use std::thread;
use std::time::Instant;

use crate::client::{Account, Client, Problem};
use crate::timed;
use serde_json::json;
use stillwire_azure::Service;
use stillwire_azure::http::Method;
use stillwire_azure::queue::{BATCH, LARGEST_CHUNK, VERSION};
use stillwire_benches::pattern::Pattern;
use stillwire_core::aznet::wire::queue;

/// Payload of a message: what a chunk holds besides its own prefix, tag and frame header.
const PAYLOAD: u64 = LARGEST_CHUNK as u64 - 25;
/// Connections tried; which is best depends on what else the machine does.
const CONNECTIONS: [u64; 2] = [1, 8];
const XML: &str = "content-type: application/xml\r\n";

struct Queue<'a> {
    name: String,
    sas: String,
    client: Client,
    message: &'a [u8],
}

/// Seconds of each kind of request.
#[derive(Clone, Copy, Default)]
struct Times {
    puts: f64,
    gets: f64,
    deletes: f64,
}

impl<'a> Queue<'a> {
    fn create(account: &Account, name: String, message: &'a [u8]) -> Result<Self, Problem> {
        let mut client = account.connect()?;
        let signature = account.signature(Method::Put, &name, &[], Vec::new())?;
        client.call(201, "PUT", &name, &signature, &[])?;
        Ok(Self {
            sas: account.sas(&name, "raup")?,
            name,
            client,
            message,
        })
    }

    /// Moves so many messages, a batch at a time.
    fn carry(&mut self, messages: u64, delete: bool) -> Result<Times, Problem> {
        let (name, sas) = (&self.name, &self.sas);
        let put = format!("{name}/messages?messagettl=-1&{sas}");
        // Hidden for longer than this takes.
        let get = format!("{name}/messages?numofmessages={BATCH}&visibilitytimeout=3600&{sas}");
        let mut times = Times::default();
        let mut left = messages;
        while left > 0 {
            let batch = left.min(BATCH as u64);
            left -= batch;
            let start = Instant::now();
            for _ in 0..batch {
                self.client.call(201, "POST", &put, XML, self.message)?;
            }
            times.puts += start.elapsed().as_secs_f64();
            let start = Instant::now();
            let list = self.client.fetch(&get, "")?;
            let list = String::from_utf8_lossy(&list);
            let found: Vec<(&str, &str)> = between(&list, "MessageId")
                .zip(between(&list, "PopReceipt"))
                .collect();
            times.gets += start.elapsed().as_secs_f64();
            if found.len() as u64 != batch {
                return Err(format!("{} messages came, not {batch}", found.len()).into());
            }
            let start = Instant::now();
            for (id, receipt) in found.iter().filter(|_| delete) {
                let receipt = receipt.replace('+', "%2B").replace('/', "%2F");
                let receipt = receipt.replace('=', "%3D");
                let path = format!("{name}/messages/{id}?popreceipt={receipt}&{sas}");
                self.client.call(204, "DELETE", &path, "", &[])?;
            }
            times.deletes += start.elapsed().as_secs_f64();
        }
        Ok(times)
    }

    fn remove(mut self, account: &Account) -> Result<(), Problem> {
        let signature = account.signature(Method::Delete, &self.name, &[], Vec::new())?;
        let removed = self.client.call(204, "DELETE", &self.name, &signature, &[]);
        removed.map(|_| ())
    }
}

/// The texts between a tag and its end.
fn between<'a>(list: &'a str, tag: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = list;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, after) = after.split_once(&close)?;
        rest = after;
        Some(text)
    })
}

/// The messages of an echo over so many connections, each with a queue of its own.
fn echo(
    account: &Account,
    message: &[u8],
    each_way: u64,
    connections: u64,
    delete: bool,
) -> Result<(f64, Times), Problem> {
    let word = if delete { "delete" } else { "leave" };
    let queues = (0..connections).map(|n| {
        let name = format!("ceiling-{word}-{connections}-{n}");
        Queue::create(account, name, message)
    });
    let mut queues = queues.collect::<Result<Vec<_>, Problem>>()?;
    let mut times = Times::default();
    let share = (2 * each_way).div_ceil(connections);
    let seconds = timed(|| {
        thread::scope(|scope| {
            let carrying: Vec<_> = queues
                .iter_mut()
                .map(|queue| scope.spawn(move || queue.carry(share, delete)))
                .collect();
            for one in carrying {
                times = one.join().map_err(|_| "a thread died")??;
            }
            Ok(())
        })
    })?;
    for queue in queues {
        queue.remove(account)?;
    }
    Ok((seconds, times))
}

pub(crate) fn measure(endpoint: &str, bytes: u64) -> Result<serde_json::Value, Problem> {
    let account = Account::new(Service::Queue, endpoint, VERSION)?;
    let mut chunk = vec![0; LARGEST_CHUNK];
    Pattern::new(1).fill(&mut chunk);
    let text = queue::encode(0, &chunk);
    let message = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
    let message = message.as_bytes();
    let each_way = bytes.div_ceil(PAYLOAD);
    let (mut best, mut leaving) = (f64::MAX, f64::MAX);
    let mut times = Times::default();
    for connections in CONNECTIONS {
        let (seconds, each) = echo(&account, message, each_way, connections, true)?;
        best = best.min(seconds);
        if connections == 1 {
            times = each;
        }
    }
    // Without deletes queues grow, and the emulator's gets with them: best over many.
    for connections in [2, 8] {
        leaving = leaving.min(echo(&account, message, each_way, connections, false)?.0);
    }
    let all = 2.0 * each_way as f64;
    let gets = each_way.div_ceil(BATCH as u64);
    Ok(json!({
        "event": "done",
        "bytes": bytes,
        "requests": 2 * (2 * each_way + gets),
        "puts_s": all / times.puts,
        "gets_s": all / BATCH as f64 / times.gets,
        "deletes_s": all / times.deletes,
        "echo_s": best,
        "leave_echo_s": leaving,
    }))
}
