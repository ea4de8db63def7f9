//! Stored bytes: a declared length is never over the limit, and nothing but our own chunk opens.

use stillwire_core::aznet::wire::chunk::{OVERHEAD, Opener, PREFIX, Sealer, TAG, declared};
use stillwire_core::crypto::Secret;

const LIMIT: usize = 49_080;

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    if let Some((prefix, body)) = data.split_first_chunk::<PREFIX>()
        && let Ok(length) = declared(*prefix, LIMIT)
    {
        assert!((TAG..=LIMIT - PREFIX).contains(&length));
        if let Some(body) = body.get(..length) {
            let mut body = body.to_vec();
            assert!(
                Opener::at(Secret::from([7; 32]), 0)
                    .open(&mut body)
                    .is_err()
            );
        }
    }
    let mut chunk = vec![0; data.len() + OVERHEAD];
    chunk[PREFIX..PREFIX + data.len()].copy_from_slice(data);
    Sealer::at(Secret::from([7; 32]), 3)
        .seal(&mut chunk)
        .unwrap();
    let mut opener = Opener::at(Secret::from([7; 32]), 3);
    let plain = opener.open(&mut chunk[PREFIX..]).unwrap();
    assert_eq!(&chunk[PREFIX..PREFIX + plain], data);
}
