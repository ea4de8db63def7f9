//! What a request to one of the three storage services does.

use crate::http::Head;

/// The kind of a request, by its method, path, query and headers. A look at a queue or table
/// `handshake` is a `list`, as it is over blobs.
pub(super) fn kind(request: &Head) -> &'static str {
    let (path, query) = request
        .target()
        .split_once('?')
        .unwrap_or((request.target(), ""));
    let has = |pair: &str| query.split('&').any(|found| found == pair);
    // The account, then what the request is about.
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').skip(1).collect();
    match (request.method(), parts.as_slice()) {
        ("POST", ["Tables"]) => "create table",
        ("POST", ["$batch"]) => "transaction",
        ("POST", [_]) => "insert",
        ("DELETE", [name]) if name.starts_with("Tables(") => "delete table",
        ("DELETE", [name]) if name.ends_with(')') => "delete entity",
        ("GET", ["handshake()"]) => "list",
        ("GET", [name]) if name.ends_with("()") => "query",
        ("GET", [name]) if name.ends_with(')') => "entity",

        ("POST", [_, "messages"]) => "put message",
        ("GET", [_, "messages"]) if has("peekonly=true") => "peek messages",
        ("GET", ["handshake", "messages"]) => "list",
        ("GET", [_, "messages"]) => "get messages",
        ("DELETE", [_, "messages", _]) => "delete message",

        ("PUT", [_]) if has("comp=metadata") => "date queue",
        ("PUT", _) if has("comp=appendblock") => "append",
        ("PUT", _) if has("restype=container") => "create container",
        ("PUT", parts) => match request.header("x-ms-blob-type") {
            Some("AppendBlob") => "create append blob",
            Some("BlockBlob") => "put blob",
            None if parts.len() == 1 => "create queue",
            _ => "other put",
        },
        ("GET", _) if has("comp=list") => "list",
        ("GET", _) if has("restype=container") => "container properties",
        ("GET" | "HEAD", [_]) if has("comp=metadata") => "queue metadata",
        ("GET", _) => "read",
        ("HEAD", _) => "properties",
        ("DELETE", _) if has("restype=container") => "delete container",
        ("DELETE", [_]) => "delete queue",
        ("DELETE", _) => "delete blob",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> &'static str {
        let bytes = format!("{line} HTTP/1.1\r\nhost: h\r\n\r\n").into_bytes();
        kind(&Head { bytes })
    }

    #[test]
    fn requests_to_queues_are_told_apart() {
        for (line, wanted) in [
            ("PUT /a/req-1?sig=x", "create queue"),
            ("GET /a/req-1?comp=metadata", "queue metadata"),
            ("PUT /a/res-1?comp=metadata&sig=x", "date queue"),
            ("POST /a/req-1/messages?messagettl=-1", "put message"),
            ("GET /a/req-1/messages?numofmessages=32", "get messages"),
            ("GET /a/token/messages?peekonly=true", "peek messages"),
            ("GET /a/handshake/messages?numofmessages=32", "list"),
            ("DELETE /a/req-1/messages/id?popreceipt=x", "delete message"),
            ("DELETE /a/req-1?sig=x", "delete queue"),
        ] {
            assert_eq!(of(line), wanted, "{line}");
        }
    }

    #[test]
    fn requests_to_tables_are_told_apart() {
        for (line, wanted) in [
            ("POST /a/Tables", "create table"),
            ("POST /a/$batch", "transaction"),
            ("POST /a/req1?sig=x", "insert"),
            ("GET /a/req1()?$filter=x&$top=100", "query"),
            ("GET /a/handshake()?$filter=x", "list"),
            (
                "GET /a/token(PartitionKey='token',RowKey='x')?sig=x",
                "entity",
            ),
            (
                "DELETE /a/handshake(PartitionKey='handshake',RowKey='x')",
                "delete entity",
            ),
            ("DELETE /a/Tables('req1')", "delete table"),
        ] {
            assert_eq!(of(line), wanted, "{line}");
        }
    }

    #[test]
    fn requests_to_blobs_are_told_apart() {
        for (line, wanted) in [
            ("PUT /a/c?restype=container", "create container"),
            ("PUT /a/c/req-0?comp=appendblock&sig=x", "append"),
            ("PUT /a/c/req-0?sig=x", "other put"),
            ("GET /a/handshake?restype=container&comp=list", "list"),
            ("GET /a/c?restype=container", "container properties"),
            ("GET /a/c/req-0", "read"),
            ("HEAD /a/c/req-0", "properties"),
            ("DELETE /a/c?restype=container", "delete container"),
            ("DELETE /a/c/b", "delete blob"),
        ] {
            assert_eq!(of(line), wanted, "{line}");
        }
        let typed = |text: &str| {
            let head = format!("PUT /a/c/b HTTP/1.1\r\nx-ms-blob-type: {text}\r\n\r\n");
            kind(&Head {
                bytes: head.into_bytes(),
            })
        };
        assert_eq!(typed("AppendBlob"), "create append blob");
        assert_eq!(typed("BlockBlob"), "put blob");
    }
}
