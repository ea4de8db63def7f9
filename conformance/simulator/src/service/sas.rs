//! Shared access signatures, checked as the services would.

use super::ACCOUNT;
use super::call::{Call, Verb};
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Holds the account key; its requests are signed on the way out.
    Owner,
    /// Has nothing but what the URL carries.
    Stranger,
}

/// Why a request is turned away: an `x-ms-error-code`.
pub(crate) type Denied = &'static str;

const MISMATCH: Denied = "AuthorizationPermissionMismatch";
const FAILURE: Denied = "AuthorizationFailure";
const OVERWRITE: Denied = "UnauthorizedBlobOverwrite";

/// Checks signature, scope, time and letters of a container's SAS in `call`.
///
/// `exists`: the blob named is there, so that putting it would overwrite.
pub(crate) fn check(
    call: &Call,
    account: &str,
    key: &[u8],
    unix_secs: u64,
    exists: bool,
) -> Result<(), Denied> {
    let field = |name: &str| call.query(name);
    if field("sig").is_empty() || field("sr") != "c" {
        return Err(FAILURE);
    }
    let mut text = format!(
        "{}\n{}\n{}\n/blob/{account}/{}\n{}\n{}\n{}\n{}\nc\n\n",
        field("sp"),
        field("st"),
        field("se"),
        call.container,
        field("si"),
        field("sip"),
        field("spr"),
        field("sv"),
    );
    // Service versions are dates, so they compare as text.
    if field("sv") >= "2020-12-06" {
        text.push_str(field("ses"));
        text.push('\n');
    }
    let overrides = ["rscc", "rscd", "rsce", "rscl", "rsct"].map(field);
    text.push_str(&overrides.join("\n"));
    holds(call, &text, key, unix_secs)?;
    let letters = match (call.verb(), exists) {
        (Verb::List, _) => "l",
        (Verb::Read | Verb::BlobProperties, _) => "r",
        (Verb::PutBlob, false) => "cw",
        (Verb::PutBlob, true) => "w",
        (Verb::Append, _) => "aw",
        (Verb::DeleteBlob, _) => "d",
        // A container SAS never reaches the container itself.
        _ => "",
    };
    if letters.chars().any(|letter| field("sp").contains(letter)) {
        Ok(())
    } else if letters == "w" && field("sp").contains('c') {
        Err(OVERWRITE)
    } else {
        Err(MISMATCH)
    }
}

/// Checks the SAS of a queue: eight fields. `letters`: any of these will do; none ever do when there
/// are none.
pub(crate) fn check_queue(
    call: &Call,
    queue: &str,
    key: &[u8],
    unix_secs: u64,
    letters: &str,
) -> Result<(), Denied> {
    let text = head(call, &format!("/queue/{ACCOUNT}/{queue}"));
    holds(call, &text, key, unix_secs)?;
    allows(call, letters)
}

/// Checks the SAS of a table, whose scope is named in the query: twelve fields.
pub(crate) fn check_table(
    call: &Call,
    table: &str,
    key: &[u8],
    unix_secs: u64,
    letters: &str,
) -> Result<(), Denied> {
    if call.query("tn") != table {
        return Err(FAILURE);
    }
    let mut text = head(call, &format!("/table/{ACCOUNT}/{}", table.to_lowercase()));
    for field in ["spk", "srk", "epk", "erk"] {
        text.push('\n');
        text.push_str(call.query(field));
    }
    holds(call, &text, key, unix_secs)?;
    allows(call, letters)
}

fn head(call: &Call, resource: &str) -> String {
    let [sp, st, se] = ["sp", "st", "se"].map(|name| call.query(name));
    let [si, sip, spr, sv] = ["si", "sip", "spr", "sv"].map(|name| call.query(name));
    [sp, st, se, resource, si, sip, spr, sv].join("\n")
}

fn allows(call: &Call, letters: &str) -> Result<(), Denied> {
    if letters
        .chars()
        .any(|letter| call.query("sp").contains(letter))
    {
        Ok(())
    } else {
        Err(MISMATCH)
    }
}

/// Checks signature and time.
fn holds(call: &Call, text: &str, key: &[u8], unix_secs: u64) -> Result<(), Denied> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| FAILURE)?;
    mac.update(text.as_bytes());
    if Base64::encode_string(&mac.finalize().into_bytes()) != call.query("sig") {
        return Err(FAILURE);
    }
    let start = call.query("st");
    if !start.is_empty() && parse_time(start).is_none_or(|start| unix_secs < start) {
        return Err(FAILURE);
    }
    if parse_time(call.query("se")).is_none_or(|end| unix_secs >= end) {
        return Err(FAILURE);
    }
    Ok(())
}

/// `YYYY-MM-DDThh:mm:ssZ` to seconds since the epoch.
fn parse_time(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    if text.len() != 20 || !text.ends_with('Z') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    // Days of the civil calendar, years beginning in March so that leap days come last.
    let shifted = year - u64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = shifted / 4 - shifted / 100 + shifted / 400;
    let days = 365 * shifted + leap_days + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::parse_time;

    #[test]
    fn times_are_seconds_since_the_epoch() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(parse_time("2026-11-21T08:29:57Z"), Some(1_795_249_797));
        assert_eq!(parse_time("2026-11-21"), None);
    }
}
