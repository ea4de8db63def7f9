//! How the benches of channels measure: several ways to do a thing, in turn, a little of each at a
//! time, so that a slow moment of the machine hits all; the median of each.

use std::time::Duration;

/// How long one turn of one way takes.
const TURN: Duration = Duration::from_millis(40);
const TURNS: usize = 15;

/// Does the thing once and says how long that took.
pub(crate) type Once<'a> = Box<dyn FnMut() -> Duration + 'a>;

/// How often a second each way does the thing.
pub(crate) fn in_turn<const N: usize>(mut ways: [Once<'_>; N]) -> [f64; N] {
    let mut rates = [const { Vec::new() }; N];
    for turn in 0..=TURNS {
        for (way, rates) in ways.iter_mut().zip(&mut rates) {
            let (mut spent, mut times) = (Duration::ZERO, 0_u32);
            while spent < TURN {
                spent += way();
                times += 1;
            }
            // The first turn warms up.
            if turn > 0 {
                rates.push(f64::from(times) / spent.as_secs_f64());
            }
        }
    }
    rates.map(median)
}

/// The one in the middle.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or_default()
}

/// `rate` times `bytes`, in MB/s.
pub(crate) fn megabytes(rate: f64, bytes: usize) -> f64 {
    rate * bytes as f64 / 1e6
}
