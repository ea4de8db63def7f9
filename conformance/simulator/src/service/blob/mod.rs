//! The blob service, with Azure's and the emulator's habits.

mod list;
#[cfg(test)]
mod tests;

use super::call::{Call, Response, Verb};
use super::sas::{self, Caller};
use super::{Effect, Sort};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;

/// Blocks an append blob takes.
const BLOCKS: u32 = 50_000;

/// Which habits to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// The real service: 416 for whatever begins at or past the end.
    Azure,
    /// Azurite: 206 with an empty body for a range that begins at the end.
    Emulator,
}

/// A blob of either type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) append: bool,
    pub(crate) content: BytesMut,
    pub(crate) blocks: u32,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A container and whatever is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Container {
    pub(crate) creator: usize,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) blobs: BTreeMap<String, Blob>,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Blobs {
    pub(crate) account: String,
    key: Vec<u8>,
    habit: Habit,
    /// A page of a listing holds at most so many entries, whatever was asked for.
    page: usize,
    pub(crate) containers: BTreeMap<String, Container>,
}

type Outcome = Result<(Response, Option<Effect>), Response>;

fn fault(status: u16, code: &str) -> Outcome {
    Err(Response::error(status, code))
}

impl Blobs {
    pub(crate) fn new(account: &str, key: &[u8], habit: Habit, page: usize) -> Self {
        Self {
            account: account.to_owned(),
            key: key.to_vec(),
            habit,
            page: page.max(1),
            containers: BTreeMap::new(),
        }
    }

    /// Serves one call of `party` at `unix_secs`.
    pub(crate) fn serve(
        &mut self,
        party: usize,
        caller: Caller,
        call: &Call,
        unix_secs: u64,
    ) -> (Response, Option<Effect>) {
        let (response, effect) = match self.authorized(caller, call, unix_secs) {
            Ok(()) => match self.dispatch(party, call) {
                Ok(served) => served,
                Err(response) => (response, None),
            },
            Err(response) => (response, None),
        };
        let mut response = response.with("x-ms-version", "2022-11-02");
        if call.method == azure_core::http::Method::Head {
            response.body = Bytes::new();
        }
        (response, effect)
    }

    fn authorized(&self, caller: Caller, call: &Call, unix_secs: u64) -> Result<(), Response> {
        if call.query.contains_key("sig") {
            let exists = self.blob(call).is_some();
            sas::check(call, &self.account, &self.key, unix_secs, exists)
                .map_err(|code| Response::error(403, code))
        } else if caller == Caller::Owner {
            Ok(())
        } else {
            Err(Response::error(403, "NoAuthenticationInformation"))
        }
    }

    fn blob(&self, call: &Call) -> Option<&Blob> {
        self.containers.get(&call.container)?.blobs.get(&call.blob)
    }

    fn dispatch(&mut self, party: usize, call: &Call) -> Outcome {
        if !is_container_name(&call.container) {
            return fault(400, "InvalidResourceName");
        }
        match call.verb() {
            Verb::CreateContainer => return self.create_container(party, call),
            Verb::Other => return fault(400, "InvalidUri"),
            _ => {}
        }
        let Some(container) = self.containers.get_mut(&call.container) else {
            return fault(404, "ContainerNotFound");
        };
        match call.verb() {
            Verb::ContainerProperties => {
                let response = Response::new(200).with("etag", "\"0x1\"");
                return Ok((with_metadata(response, &container.metadata), None));
            }
            Verb::DeleteContainer => {
                self.containers.remove(&call.container);
                return Ok((Response::new(202), Some(Effect::Deleted)));
            }
            Verb::List => return list::list(container, call, self.page).map(|r| (r, None)),
            Verb::PutBlob => return put_blob(container, call),
            _ => {}
        }
        let Some(blob) = container.blobs.get_mut(&call.blob) else {
            return fault(404, "BlobNotFound");
        };
        match call.verb() {
            Verb::Append => append(blob, call),
            Verb::BlobProperties => {
                let mut response = Response::new(200)
                    .with("content-length", blob.content.len().to_string())
                    .with("etag", format!("\"0x{:X}\"", blob.blocks));
                if blob.append {
                    response = response
                        .with("x-ms-blob-type", "AppendBlob")
                        .with("x-ms-blob-committed-block-count", blob.blocks.to_string());
                } else {
                    response = response.with("x-ms-blob-type", "BlockBlob");
                }
                Ok((with_metadata(response, &blob.metadata), None))
            }
            Verb::Read => read(blob, call, self.habit).map(|response| (response, None)),
            _ => {
                container.blobs.remove(&call.blob);
                Ok((Response::new(202), Some(Effect::Removed)))
            }
        }
    }

    fn create_container(&mut self, party: usize, call: &Call) -> Outcome {
        if self.containers.contains_key(&call.container) {
            return fault(409, "ContainerAlreadyExists");
        }
        let container = Container {
            creator: party,
            metadata: metadata_of(call),
            blobs: BTreeMap::new(),
        };
        self.containers.insert(call.container.clone(), container);
        let response = Response::new(201).with("etag", "\"0x1\"");
        Ok((response, Some(Effect::Created)))
    }
}

/// What a request is to those who spoil it.
pub(super) fn sort(call: &Call) -> Sort {
    let verb = call.verb();
    let absurd: &[(u16, &str)] = match verb {
        Verb::Append => &[
            (412, "AppendPositionConditionNotMet"),
            (404, "BlobNotFound"),
            (409, "BlockCountExceedsLimit"),
            (403, "AuthorizationFailure"),
        ],
        Verb::Read => &[
            (416, "InvalidRange"),
            (404, "BlobNotFound"),
            (404, "ContainerNotFound"),
            (403, "AuthorizationFailure"),
        ],
        Verb::CreateContainer => &[
            (409, "ContainerBeingDeleted"),
            (409, "ContainerAlreadyExists"),
        ],
        Verb::PutBlob => &[
            (409, "BlobAlreadyExists"),
            (404, "ContainerNotFound"),
            (403, "AuthorizationFailure"),
        ],
        _ => &[(404, "BlobNotFound"), (403, "AuthorizationFailure")],
    };
    let about = matches!(verb, Verb::Append | Verb::Read | Verb::BlobProperties);
    Sort {
        reads: verb == Verb::Read,
        stream: about && (call.blob.starts_with("req-") || call.blob.starts_with("res-")),
        missing: "BlobNotFound",
        absurd,
        // Those of its own direction that follow the first.
        creates: verb == Verb::PutBlob && matches!(call.blob.as_str(), "req-0" | "res-0"),
        verb: verb.name(),
        place: call.container.clone(),
    }
}

/// Three to sixty-three lowercase letters, digits and single hyphens.
fn is_container_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

fn metadata_of(call: &Call) -> BTreeMap<String, String> {
    let pairs = call.headers.iter();
    pairs
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("x-ms-meta-")?;
            Some((name.to_owned(), value.clone()))
        })
        .collect()
}

fn with_metadata(mut response: Response, metadata: &BTreeMap<String, String>) -> Response {
    for (name, value) in metadata {
        response = response.with(format!("x-ms-meta-{name}"), value);
    }
    response
}

fn put_blob(container: &mut Container, call: &Call) -> Outcome {
    if call.header("if-none-match") == Some("*") && container.blobs.contains_key(&call.blob) {
        return fault(409, "BlobAlreadyExists");
    }
    let append = match call.header("x-ms-blob-type") {
        Some("AppendBlob") if call.body.is_empty() => true,
        Some("BlockBlob") => false,
        _ => return fault(400, "InvalidHeaderValue"),
    };
    let blob = Blob {
        append,
        content: BytesMut::from(&*call.body),
        blocks: 0,
        metadata: metadata_of(call),
    };
    container.blobs.insert(call.blob.clone(), blob);
    let response = Response::new(201).with("etag", "\"0x0\"");
    Ok((response, Some(Effect::Put { append })))
}

fn append(blob: &mut Blob, call: &Call) -> Outcome {
    if !blob.append {
        return fault(409, "InvalidBlobType");
    }
    if call.body.is_empty() {
        return fault(400, "InvalidHeaderValue");
    }
    let large = call
        .header("x-ms-version")
        .is_some_and(|version| version >= "2022-11-02");
    if call.body.len() > if large { 100 << 20 } else { 4 << 20 } {
        return fault(413, "RequestBodyTooLarge");
    }
    let offset = blob.content.len() as u64;
    if let Some(position) = call.header("x-ms-blob-condition-appendpos")
        && position.parse() != Ok(offset)
    {
        return fault(412, "AppendPositionConditionNotMet");
    }
    if blob.blocks >= BLOCKS {
        return fault(409, "BlockCountExceedsLimit");
    }
    blob.content.extend_from_slice(&call.body);
    blob.blocks += 1;
    let response = Response::new(201)
        .with("x-ms-blob-append-offset", offset.to_string())
        .with("x-ms-blob-committed-block-count", blob.blocks.to_string())
        .with("etag", format!("\"0x{:X}\"", blob.blocks));
    Ok((response, Some(Effect::Appended { offset })))
}

fn read(blob: &Blob, call: &Call, habit: Habit) -> Result<Response, Response> {
    let total = blob.content.len();
    let range = call.header("x-ms-range").or_else(|| call.header("range"));
    let Some(range) = range else {
        let response = Response::new(200).with("content-length", total.to_string());
        return Ok(Response {
            body: Bytes::copy_from_slice(&blob.content),
            ..response
        });
    };
    let parts = range.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
    let Some((Ok(start), end)) = parts.map(|(start, end)| (start.parse::<usize>(), end)) else {
        return Err(Response::error(400, "InvalidHeaderValue"));
    };
    let bounded = !end.is_empty();
    let end = if bounded {
        match end.parse::<usize>() {
            Ok(end) if end >= start => total.min(end.saturating_add(1)),
            _ => return Err(Response::error(400, "InvalidHeaderValue")),
        }
    } else {
        total
    };
    if start < total {
        let last = end - 1;
        let response = Response::new(206)
            .with("content-range", format!("bytes {start}-{last}/{total}"))
            .with("content-length", (end - start).to_string());
        return Ok(Response {
            body: Bytes::copy_from_slice(&blob.content[start..end]),
            ..response
        });
    }
    let at_end = start == total && !(total == 0 && bounded);
    if habit == Habit::Emulator && at_end {
        return Ok(Response::new(206)
            .with("content-range", "bytes 0--1/0")
            .with("content-length", "0"));
    }
    let refused = Response::error(416, "InvalidRange");
    Err(refused.with("content-range", format!("bytes */{total}")))
}
