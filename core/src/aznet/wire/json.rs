//! A small strict JSON reader, enough for the tokens of message 2.
//!
//! Memory is bounded by the input: a string never takes more than its own source text, and what
//! is skipped takes nothing.

use crate::error::{Class, Error};
use alloc::string::String;

/// Nesting that is skipped at the most.
const DEPTH: usize = 32;

const FAULT: Error = Error::peer(Class::Encoding, "the tokens are not well-formed JSON");

pub(super) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let rest = core::str::from_utf8(bytes).map_err(|_| FAULT)?;
        Ok(Self { rest })
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// The next character that is not white space, left in place.
    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, wanted: char) -> Result<(), Error> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(FAULT)
        }
    }

    /// Only white space is left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(FAULT)
        }
    }

    /// Reads an object; `member` is called at each value and reads or skips it.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.need('{')?;
        if self.take('}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.need(':')?;
            member(self, &key)?;
            if !self.take(',') {
                return self.need('}');
            }
        }
    }

    /// Reads a string, escapes undone.
    pub(super) fn string(&mut self) -> Result<String, Error> {
        let raw = self.raw_string()?;
        // Enough from the start: a string that grows leaves copies of a secret behind.
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('\\') {
            let (plain, escape) = rest.split_at_checked(at).ok_or(FAULT)?;
            out.push_str(plain);
            let (character, after) = unescape(escape)?;
            out.push(character);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// What stands between the quotes, escapes and all.
    fn raw_string(&mut self) -> Result<&'a str, Error> {
        self.need('"')?;
        let mut escaped = false;
        for (at, byte) in self.rest.bytes().enumerate() {
            match byte {
                0..0x20 => return Err(FAULT),
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let (raw, quote) = self.rest.split_at_checked(at).ok_or(FAULT)?;
                    self.rest = quote.strip_prefix('"').ok_or(FAULT)?;
                    return Ok(raw);
                }
                _ => {}
            }
        }
        Err(FAULT)
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        self.skip_nested(DEPTH)
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Error> {
        match self.peek().ok_or(FAULT)? {
            '"' => self.string().map(drop),
            '{' => {
                let inner = depth.checked_sub(1).ok_or(FAULT)?;
                self.object(|reader, _| reader.skip_nested(inner))
            }
            '[' => self.skip_array(depth.checked_sub(1).ok_or(FAULT)?),
            '-' | '0'..='9' => self.skip_number(),
            _ => {
                let word = ["true", "false", "null"];
                let rest = word.iter().find_map(|word| self.rest.strip_prefix(word));
                self.rest = rest.ok_or(FAULT)?;
                Ok(())
            }
        }
    }

    fn skip_array(&mut self, inner: usize) -> Result<(), Error> {
        self.need('[')?;
        if self.take(']') {
            return Ok(());
        }
        loop {
            self.skip_nested(inner)?;
            if !self.take(',') {
                return self.need(']');
            }
        }
    }

    fn skip_number(&mut self) -> Result<(), Error> {
        let rest = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let mut rest = match rest.strip_prefix('0') {
            Some(rest) => rest,
            None => digits(rest)?,
        };
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = digits(fraction)?;
        }
        if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
            rest = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))?;
        }
        self.rest = rest;
        Ok(())
    }
}

/// Passes over one digit or more.
fn digits(text: &str) -> Result<&str, Error> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == text.len() {
        return Err(FAULT);
    }
    Ok(rest)
}

/// Undoes the escape that `text` starts with; gives what follows it too.
fn unescape(text: &str) -> Result<(char, &str), Error> {
    let mut characters = text.chars();
    let simple = match (characters.next(), characters.next()) {
        (Some('\\'), Some(letter)) => match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return unescape_unicode(text),
            _ => return Err(FAULT),
        },
        _ => return Err(FAULT),
    };
    Ok((simple, characters.as_str()))
}

fn unescape_unicode(text: &str) -> Result<(char, &str), Error> {
    let (first, rest) = code_unit(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        // A low surrogate on its own is no character either.
        return Ok((char::from_u32(first).ok_or(FAULT)?, rest));
    }
    let (second, rest) = code_unit(rest)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(FAULT);
    }
    let (high, low) = (first & 0x3ff, second & 0x3ff);
    let scalar = 0x1_0000_u32.saturating_add(high << 10 | low);
    Ok((char::from_u32(scalar).ok_or(FAULT)?, rest))
}

/// Reads `\uXXXX`.
fn code_unit(text: &str) -> Result<(u32, &str), Error> {
    let hex = text.strip_prefix("\\u").ok_or(FAULT)?;
    let (hex, rest) = hex.split_at_checked(4).ok_or(FAULT)?;
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(FAULT);
    }
    let unit = u32::from_str_radix(hex, 16).map_err(|_| FAULT)?;
    Ok((unit, rest))
}

/// Longest escape that [`write_string`] writes for one byte of text.
pub(super) const LONGEST_ESCAPE: usize = 6;

/// Writes a string as Go's encoder does, with `&`, `<` and `>` escaped.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' | '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = (u32::from(character) >> shift) & 0xf;
                    out.push(char::from_digit(digit, 16).unwrap_or('0'));
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}
