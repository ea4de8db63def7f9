//! Sizes, times and addresses: as people write them, and as they read them.

use std::time::Duration;

const LONGEST_EXPIRY: Duration = Duration::from_secs(366 * 24 * 3600);

/// `24h`, `90m`, `1d12h`.
pub(crate) fn parse_expiry(text: &str) -> Result<Duration, String> {
    let wrong = || "write it like 24h, 90m or 1d12h".to_owned();
    let (mut total, mut number) = (0_u64, None::<u64>);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let more = number.unwrap_or(0).checked_mul(10);
            number = Some(
                more.and_then(|n| n.checked_add(digit.into()))
                    .ok_or_else(wrong)?,
            );
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return Err(wrong()),
        };
        let part = number.take().and_then(|n| n.checked_mul(unit));
        total = part.and_then(|p| total.checked_add(p)).ok_or_else(wrong)?;
    }
    let total = Duration::from_secs(total);
    if number.is_some() || total.is_zero() {
        return Err(wrong());
    }
    if total > LONGEST_EXPIRY {
        return Err("a year at the most".to_owned());
    }
    Ok(total)
}

/// As `parse_expiry`, and long enough that nobody's connection is still for so long: the idle
/// time-out.
pub(crate) fn parse_stillness(text: &str) -> Result<Duration, String> {
    let time = parse_expiry(text)?;
    if time < Duration::from_secs(300) {
        return Err("five minutes at the least: a connection may be silent for so long".to_owned());
    }
    Ok(time)
}

/// `64MB`, `1GiB`, `1000`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || "write it like 1000, 64MB or 1GiB".to_owned();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

/// `HOST:PORT`, the host given.
pub(crate) fn parse_host_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
            Ok(text.to_owned())
        }
        _ => Err("write it like localhost:22".to_owned()),
    }
}

/// `LISTEN:PORT`; a port alone, or an empty host, is loopback.
pub(crate) fn parse_listen_port(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if port.parse::<u16>().is_err() {
        return Err("write it like 127.0.0.1:8080".to_owned());
    }
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Ok(format!("{host}:{port}"))
}

/// `12.3 MB`.
pub(crate) fn bytes(n: u64) -> String {
    let (value, unit) = match n {
        0..1_000 => return format!("{n} B"),
        1_000..1_000_000 => (n as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "MB"),
        _ => (n as f64 / 1e9, "GB"),
    };
    format!("{value:.1} {unit}")
}

/// `30 MB/s`.
pub(crate) fn rate(n: u64, time: Duration) -> String {
    let per_second = megabytes_per_second(n, time);
    if per_second >= 10.0 {
        format!("{per_second:.0} MB/s")
    } else {
        format!("{per_second:.2} MB/s")
    }
}

/// Millions of bytes a second.
pub(crate) fn megabytes_per_second(n: u64, time: Duration) -> f64 {
    n as f64 / 1e6 / time.as_secs_f64().max(1e-6)
}

/// `0.41 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.1 {
        format!("{seconds:.3} s")
    } else if seconds < 100.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.0} s")
    }
}

/// `13.2 ms`.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub(crate) fn long(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(n: u64, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

/// Bytes as lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let secs = |text| parse_expiry(text).map(|d| d.as_secs());
        assert_eq!(secs("24h"), Ok(86_400));
        assert_eq!(secs("1d12h"), Ok(129_600));
        assert_eq!(secs("90s"), Ok(90));
        for wrong in [
            "",
            "24",
            "h",
            "1w",
            "-1h",
            "0s",
            "99999999999999999999h",
            "9999d",
        ] {
            assert!(secs(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_could_be_a_silent_connection_is_not_old() {
        assert!(parse_stillness("5m").is_ok());
        for wrong in ["299s", "1s", "soon"] {
            assert!(parse_stillness(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_bytes("0"), Ok(0));
        assert_eq!(parse_bytes("64MB"), Ok(64_000_000));
        assert_eq!(parse_bytes("1 GiB"), Ok(1 << 30));
        for wrong in [
            "",
            "MB",
            "-1",
            "1TBx",
            "99999999999999999999",
            "99999999999GB",
        ] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(parse_listen_port("8080").as_deref(), Ok("127.0.0.1:8080"));
        assert_eq!(parse_listen_port(":80").as_deref(), Ok("127.0.0.1:80"));
        assert_eq!(parse_listen_port("[::1]:0").as_deref(), Ok("[::1]:0"));
        assert!(parse_listen_port("localhost").is_err());
        assert!(parse_host_port("localhost:22").is_ok());
        assert!(parse_host_port(":22").is_err());
        assert!(parse_host_port("h:70000").is_err());
    }

    #[test]
    fn figures_are_written() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        assert_eq!(rate(12_300_000, Duration::from_millis(410)), "30 MB/s");
        assert_eq!(seconds(Duration::from_millis(410)), "0.41 s");
        assert_eq!(milliseconds(Duration::from_micros(13_240)), "13.2 ms");
        for (seconds, text) in [
            (45, "45 s"),
            (60, "1 min"),
            (754, "12 min 34 s"),
            (3_600, "1 h"),
            (11_100, "3 h 5 min"),
            (187_200, "2 d 4 h"),
        ] {
            assert_eq!(long(Duration::from_secs(seconds)), text);
        }
        assert_eq!(count(1, "transaction"), "1 transaction");
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
