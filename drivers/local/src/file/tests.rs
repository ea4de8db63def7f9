use super::*;
use std::fs;
use tempfile::TempDir;

const CHUNKS: [u32; 3] = [5, 1, 4_000];

fn sample() -> (Vec<u8>, Vec<u8>) {
    let bytes: Vec<u8> = (0..4_006_u32).map(|n| (n % 251) as u8 + 1).collect();
    let mut whole = head(Kind::Chunks, 42, &CHUNKS, &bytes);
    whole.extend_from_slice(&bytes);
    (whole, bytes)
}

fn look(content: &[u8]) -> Found<Vec<u8>> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, content).unwrap();
    match Opened::open(&path, Kind::Chunks, 42, limits::TRANSFER).unwrap() {
        Found::Whole(opened) => {
            let all = opened.fitting(0, usize::MAX);
            assert_eq!(all.chunks, opened.chunks());
            let mut out = Vec::new();
            match opened.append(0, all, &mut out).unwrap() {
                (_, None) => Found::Whole(out),
                (_, Some(doubt)) => Found::Doubtful(doubt),
            }
        }
        Found::Missing => Found::Missing,
        Found::Doubtful(doubt) => Found::Doubtful(doubt),
    }
}

#[test]
fn a_whole_file_reads_back() {
    let (whole, bytes) = sample();
    assert!(matches!(look(&whole), Found::Whole(read) if read == bytes));
}

#[test]
fn the_bytes_are_those_of_the_table_in_the_docs() {
    let head = head(Kind::Chunks, 0x0102, &[1], b"a");
    let mut expected = b"SwSf\x01\x03\0\0\0\0\0\0\0\0\x01\x02\0\0\0\x01\0\0\0\x01".to_vec();
    // CRC-32 of "a" is e8b7be43 in every table of the algorithm.
    let table = [0, 0, 0, 1, 0xe8, 0xb7, 0xbe, 0x43];
    let crc = crc32fast::hash(&[&expected[..], &table].concat());
    expected.extend_from_slice(&crc.to_be_bytes());
    expected.extend_from_slice(&table);
    assert_eq!(head, expected);
}

#[test]
fn every_cut_is_torn() {
    let (whole, _) = sample();
    for end in (0..200).chain((200..whole.len()).step_by(97)) {
        let found = look(&whole[..end]);
        assert!(
            matches!(found, Found::Doubtful(Doubt::Torn(_))),
            "{end}: {found:?}"
        );
    }
}

#[test]
fn every_tail_of_zeros_is_torn() {
    let (whole, _) = sample();
    for from in (0..200).chain((200..whole.len()).step_by(97)) {
        let mut zeroed = whole.clone();
        zeroed[from..].fill(0);
        if zeroed == whole {
            continue;
        }
        let found = look(&zeroed);
        assert!(
            matches!(found, Found::Doubtful(Doubt::Torn(_))),
            "{from}: {found:?}"
        );
    }
}

#[test]
fn every_flipped_bit_of_the_head_is_found() {
    let (whole, _) = sample();
    for at in 0..FIXED + 3 * ENTRY {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            let found = look(&flipped);
            assert!(matches!(found, Found::Doubtful(_)), "{at}.{bit}: {found:?}");
        }
    }
}

#[test]
fn what_can_never_become_right_is_malformed() {
    let (whole, bytes) = sample();
    let longer = [&whole[..], b"x"].concat();
    let other_kind = [head(Kind::Token, 42, &CHUNKS, &bytes), bytes.clone()].concat();
    let other_number = [head(Kind::Chunks, 43, &CHUNKS, &bytes), bytes.clone()].concat();
    let wrong_sum = [
        head(Kind::Chunks, 42, &[5, 1, 3_999], &bytes),
        bytes.clone(),
    ]
    .concat();
    let empty_chunk = [head(Kind::Chunks, 42, &[4_006, 0], &bytes), bytes].concat();
    let foreign = b"#!/bin/sh\nsomething entirely different".to_vec();
    for content in [
        longer,
        other_kind,
        other_number,
        wrong_sum,
        empty_chunk,
        foreign,
    ] {
        let found = look(&content);
        assert!(
            matches!(found, Found::Doubtful(Doubt::Malformed(_))),
            "{found:?}"
        );
    }
}

#[test]
fn a_huge_file_is_not_loaded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let found = message(&path, Kind::Handshake).unwrap();
    assert!(matches!(
        found,
        Found::Doubtful(Doubt::Malformed("it is too large"))
    ));
    // A header that announces the impossible allocates nothing for it either.
    let mut lying = sample().0;
    lying[16..24].fill(0xff);
    assert!(matches!(look(&lying), Found::Doubtful(Doubt::Torn(_))));
}

#[test]
fn a_damaged_chunk_ends_what_is_read_before_it() {
    let (mut whole, bytes) = sample();
    let last = whole.len() - 1;
    whole[last] ^= 1;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, &whole).unwrap();
    let Found::Whole(opened) = Opened::open(&path, Kind::Chunks, 42, 1 << 20).unwrap() else {
        unreachable!("the header is right")
    };
    assert_eq!(opened.length(2), 4_000);
    assert_eq!(
        opened.fitting(1, 4_000),
        Run {
            chunks: 1,
            bytes: 1
        }
    );
    let all = opened.fitting(0, usize::MAX);
    let mut out = b"before".to_vec();
    let (good, doubt) = opened.append(0, all, &mut out).unwrap();
    assert_eq!(
        good,
        Run {
            chunks: 2,
            bytes: 6
        }
    );
    assert!(doubt.is_some());
    assert_eq!(out, [b"before", &bytes[..6]].concat());
}

#[test]
fn sameness_looks_at_every_byte() {
    let (whole, _) = sample();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("f");
    let (head, bytes) = whole.split_at(52);
    fs::write(&path, &whole).unwrap();
    assert!(is_same(&path, head, bytes).unwrap());
    assert!(!is_same(&path, head, &bytes[1..]).unwrap());
    for at in [0, 51, 52, whole.len() - 1] {
        let mut other = whole.clone();
        other[at] ^= 1;
        fs::write(&path, &other).unwrap();
        assert!(!is_same(&path, head, bytes).unwrap(), "{at}");
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_not_opened() {
    let (whole, _) = sample();
    let dir = TempDir::new().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs::write(&target, &whole).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let found = Opened::open(&link, Kind::Chunks, 42, 1 << 20).unwrap();
    assert!(matches!(
        found,
        Found::Doubtful(Doubt::Malformed("it is a symbolic link"))
    ));
    let (head, bytes) = whole.split_at(52);
    assert!(!is_same(&link, head, bytes).unwrap());

    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        let found = Opened::open(&pipe, Kind::Chunks, 42, 1 << 20).unwrap();
        assert!(matches!(
            found,
            Found::Doubtful(Doubt::Malformed("it is not a file"))
        ));
    }
    let found = Opened::open(dir.path(), Kind::Chunks, 42, 1 << 20).unwrap();
    assert!(matches!(
        found,
        Found::Doubtful(Doubt::Malformed("it is not a file"))
    ));
}
