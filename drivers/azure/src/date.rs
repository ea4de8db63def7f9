//! Dates as Azure writes them, without a calendar library that could panic.

use stillwire_core::UnixTime;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The last second with a four-digit year; later times are written as this one.
const LAST: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

struct Civil {
    year: u64,
    /// From 1.
    month: u64,
    day: u64,
    second_of_day: u64,
    weekday: &'static str,
}

/// Days to a civil date, by counting in eras of 400 years that begin on 1 March.
#[allow(clippy::arithmetic_side_effects, reason = "bounded by LAST")]
fn civil(time: UnixTime) -> Civil {
    let secs = time.as_secs().min(LAST);
    let days = secs / DAY;
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        second_of_day: secs % DAY,
        weekday: DAYS.get((days % 7) as usize).copied().unwrap_or_default(),
    }
}

/// The opposite direction; [`None`] outside the years 1970 to 9999.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "fields are range checked first"
)]
fn unix(year: u64, month: u64, day: u64, hour: u64, minute: u64, second: u64) -> Option<UnixTime> {
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let shifted_year = year - u64::from(month <= 2);
    let year_of_era = shifted_year % 400;
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (shifted_year / 400 * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(UnixTime::from_secs(
        days * DAY + hour * 3_600 + minute * 60 + second,
    ))
}

/// `Mon, 11 Jan 2027 08:00:27 GMT`, for `x-ms-date`.
pub(crate) fn rfc1123(time: UnixTime) -> String {
    let c = civil(time);
    let (h, m, s) = hms(c.second_of_day);
    let month = usize::try_from(c.month.saturating_sub(1))
        .ok()
        .and_then(|i| MONTHS.get(i))
        .copied()
        .unwrap_or_default();
    format!(
        "{}, {:02} {month} {:04} {h:02}:{m:02}:{s:02} GMT",
        c.weekday, c.day, c.year
    )
}

/// `2027-01-11T08:00:27Z`, for SAS times.
pub(crate) fn iso8601(time: UnixTime) -> String {
    let c = civil(time);
    let (h, m, s) = hms(c.second_of_day);
    format!(
        "{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}Z",
        c.year, c.month, c.day
    )
}

const fn hms(second_of_day: u64) -> (u64, u64, u64) {
    (
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    )
}

/// Reads the form of HTTP `Date` headers, `Mon, 11 Jan 2027 08:00:27 GMT`.
pub fn parse_rfc1123(text: &str) -> Option<UnixTime> {
    let (_, rest) = text.trim().split_once(", ")?;
    let rest = rest.strip_suffix(" GMT")?;
    let mut words = rest.split(' ');
    let day = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)?.checked_add(1)? as u64;
    let year = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':');
    let hour = clock.next()?.parse().ok()?;
    let minute = clock.next()?.parse().ok()?;
    let second = clock.next()?.parse().ok()?;
    if words.next().is_some() || clock.next().is_some() {
        return None;
    }
    unix(year, month, day, hour, minute, second)
}

/// Reads SAS times: a date, or a date and time in UTC with or without seconds and fractions.
pub(crate) fn parse_iso8601(text: &str) -> Option<UnixTime> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let mut date = date.split('-');
    let year = date.next()?.parse().ok()?;
    let month = date.next()?.parse().ok()?;
    let day = date.next()?.parse().ok()?;
    let mut clock = time.split(':');
    let hour = clock.next()?.parse().ok()?;
    let minute = clock.next()?.parse().ok()?;
    let second = match clock.next() {
        Some(second) => second.split('.').next()?.parse().ok()?,
        None => 0,
    };
    if date.next().is_some() || clock.next().is_some() {
        return None;
    }
    unix(year, month, day, hour, minute, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_known_dates() {
        assert_eq!(
            rfc1123(UnixTime::from_secs(0)),
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert_eq!(
            rfc1123(UnixTime::from_secs(1_799_654_427)),
            "Mon, 11 Jan 2027 08:00:27 GMT"
        );
        assert_eq!(
            iso8601(UnixTime::from_secs(1_795_330_892)),
            "2026-11-22T07:01:32Z"
        );
        assert_eq!(
            iso8601(UnixTime::from_secs(951_782_400)),
            "2000-02-29T00:00:00Z"
        );
        assert_eq!(
            iso8601(UnixTime::from_millis(u64::MAX)),
            "9999-12-31T23:59:59Z"
        );
    }

    #[test]
    fn reads_back_every_day_of_two_centuries() {
        for day in 0..73_000 {
            let time = UnixTime::from_secs(day * DAY + day % DAY);
            assert_eq!(parse_rfc1123(&rfc1123(time)), Some(time));
            assert_eq!(parse_iso8601(&iso8601(time)), Some(time));
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "x",
            "Mon, 11 Jan 2027",
            "Mon, 11 Foo 2027 08:00:27 GMT",
            "Mon, 99 Jan 2027 08:00:27 GMT",
        ] {
            assert_eq!(parse_rfc1123(text), None, "{text}");
        }
        for text in [
            "",
            "2027",
            "2027-13-01",
            "2027-01-01T00:00:00",
            "2027-01-01T24:00:00Z",
        ] {
            assert_eq!(parse_iso8601(text), None, "{text}");
        }
        assert_eq!(
            parse_iso8601("2027-01-01T10:20Z"),
            parse_iso8601("2027-01-01T10:20:00.0000000Z")
        );
    }
}
