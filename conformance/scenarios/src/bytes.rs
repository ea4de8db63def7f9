//! Bytes that show a shift, a gap or a repeat, and both ways of moving them.

use crate::{End, Reading, Writing};

/// splitmix64 from a seed, little-endian: the Go program's pattern as well.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Two long byte strings that a failing test should not print.
pub fn assert_same(left: &[u8], right: &[u8]) {
    assert_eq!(left.len(), right.len());
    let differs = left.iter().zip(right).position(|(a, b)| a != b);
    assert_eq!(differs, None, "first difference");
}

/// Reads to the peer's end.
pub fn read_to_end(read: &mut dyn Reading) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
    loop {
        match read.read(&mut buffer).expect("reading") {
            0 => return all,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Reads so many bytes.
pub fn read_exact(read: &mut dyn Reading, length: usize) -> Vec<u8> {
    let mut all = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let n = read.read(&mut all[filled..]).expect("reading");
        assert!(n > 0, "the stream ended after {filled} of {length} bytes");
        filled += n;
    }
    all
}

/// Sends everything back and ends after the peer did. Gives back how much that was.
pub fn echo(mut end: End) -> (usize, Box<dyn Writing>) {
    let (mut total, mut buffer) = (0, vec![0; 256 << 10]);
    loop {
        match end.read.read(&mut buffer).expect("reading") {
            0 => break,
            n => {
                end.write.write_all(&buffer[..n]).expect("writing");
                total += n;
            }
        }
    }
    end.write.close_write().expect("ending");
    (total, end.write)
}

/// Writes `data`, ends, and reads to the peer's end meanwhile.
pub fn exchange(end: End, data: Vec<u8>) -> (Vec<u8>, Box<dyn Writing>) {
    let (mut read, mut write) = (end.read, end.write);
    let writing = std::thread::spawn(move || {
        write.write_all(&data).expect("writing");
        write.close_write().expect("ending");
        write
    });
    let back = read_to_end(read.as_mut());
    (back, writing.join().expect("writing"))
}
