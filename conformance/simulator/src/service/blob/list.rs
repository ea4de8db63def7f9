//! List Blobs: XML pages with metadata and opaque markers.

use super::Container;
use crate::service::call::{Call, Response};
use base64ct::{Base64, Encoding};
use std::fmt::Write;

pub(super) fn list(container: &Container, call: &Call, page: usize) -> Result<Response, Response> {
    let wanted = match call.query("maxresults") {
        "" => 5000,
        text => match text.parse::<usize>() {
            Ok(wanted) if wanted > 0 => wanted.min(5000),
            _ => return Err(Response::error(400, "OutOfRangeQueryParameterValue")),
        },
    };
    let from = match call.query("marker") {
        "" => String::new(),
        marker => decode_marker(marker)
            .ok_or_else(|| Response::error(400, "OutOfRangeQueryParameterValue"))?,
    };
    let prefix = call.query("prefix");
    let metadata = call.query("include").split(',').any(|w| w == "metadata");
    let mut xml = String::from(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <EnumerationResults ServiceEndpoint=\"http://simulated/\" ContainerName=\"",
    );
    escape(&mut xml, &call.container);
    xml.push_str("\">");
    if !prefix.is_empty() {
        xml.push_str("<Prefix>");
        escape(&mut xml, prefix);
        xml.push_str("</Prefix>");
    }
    xml.push_str("<Blobs>");
    let mut next = None;
    let mut left = wanted.min(page);
    let named = container.blobs.range(from..);
    for (name, blob) in named.filter(|(name, _)| name.starts_with(prefix)) {
        if left == 0 {
            next = Some(name);
            break;
        }
        left -= 1;
        xml.push_str("<Blob><Name>");
        escape(&mut xml, name);
        let kind = if blob.append {
            "AppendBlob"
        } else {
            "BlockBlob"
        };
        let _ = write!(
            xml,
            "</Name><Properties><Content-Length>{}</Content-Length>\
             <BlobType>{kind}</BlobType></Properties>",
            blob.content.len()
        );
        if metadata && blob.metadata.is_empty() {
            xml.push_str("<Metadata />");
        } else if metadata {
            xml.push_str("<Metadata>");
            for (key, value) in &blob.metadata {
                let _ = write!(xml, "<{key}>");
                escape(&mut xml, value);
                let _ = write!(xml, "</{key}>");
            }
            xml.push_str("</Metadata>");
        }
        xml.push_str("</Blob>");
    }
    xml.push_str("</Blobs>");
    match next {
        Some(name) => {
            xml.push_str("<NextMarker>");
            escape(&mut xml, &encode_marker(name));
            xml.push_str("</NextMarker>");
        }
        None => xml.push_str("<NextMarker />"),
    }
    xml.push_str("</EnumerationResults>");
    let response = Response::new(200).with("content-type", "application/xml");
    Ok(Response {
        body: xml.into(),
        ..response
    })
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

/// As opaque as Azure's, with letters that a URL must escape.
fn encode_marker(name: &str) -> String {
    format!(
        "2!{}!+/={}",
        name.len(),
        Base64::encode_string(name.as_bytes())
    )
}

fn decode_marker(marker: &str) -> Option<String> {
    let (_, text) = marker.split_once("!+/=")?;
    String::from_utf8(Base64::decode_vec(text).ok()?).ok()
}
