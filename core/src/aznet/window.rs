//! How many writes may be in flight, where a carrier takes several.
//!
//! Writes that take the longer the more of them are in flight only stand in the carrier's line, in
//! front of the peer's reads, and what they carry piles up there. So a few begin, and more join them
//! only as long as they are quick.

use super::config::Config;
use crate::store::Profile;
use core::time::Duration;

/// In flight at first, and at the least, unless the carrier or the buffers allow for fewer.
const FEWEST: usize = 4;
/// Beside its multiples, what a write may take longer than the quickest: a hiccup is no line.
const HICCUP: Duration = Duration::from_millis(5);
/// The part by which the quickest fades with each write, so that a line that has become longer for
/// good is not taken for a jam for ever.
const FADING: u32 = 4_096;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// On top of the fewest.
    more: usize,
    /// The quickest full write of late.
    quickest: Option<Duration>,
}

impl Window {
    /// Writes that may be in flight: at the most what the carrier takes, and with the block being
    /// gathered no more than `send_buffer` bytes, if that holds two of them.
    pub(super) fn size(&self, profile: &Profile, config: &Config) -> usize {
        FEWEST.saturating_add(self.more).min(most(profile, config))
    }

    /// A full write is stored, and took so long.
    pub(super) fn stored(&mut self, took: Duration, profile: &Profile, config: &Config) {
        let fading = |known: Duration| {
            let part = known.checked_div(FADING).unwrap_or_default();
            known.saturating_add(part)
        };
        let quickest = self.quickest.map_or(took, |known| fading(known).min(took));
        self.quickest = Some(quickest);
        if took < quickest.saturating_mul(2).saturating_add(HICCUP) {
            let room = most(profile, config).saturating_sub(FEWEST);
            self.more = self.more.saturating_add(1).min(room);
        } else if took > quickest.saturating_mul(3).saturating_add(HICCUP) {
            self.more = self.more.saturating_sub(1);
        }
    }
}

fn most(profile: &Profile, config: &Config) -> usize {
    let most = usize::from(profile.writes_in_flight);
    let fit = config.send_buffer.checked_div(profile.bytes_per_write);
    most.min(fit.unwrap_or_default().saturating_sub(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            name: "queue",
            largest_chunk: 1_000,
            bytes_per_write: 1_000,
            bytes_per_read: 32_000,
            writes_in_flight: 16,
            releases_in_flight: 0,
            writes_before_rotation: None,
            sequences: None,
            tokens_in_sight: None,
            shortest_poll: Duration::from_millis(10),
        }
    }

    fn after(window: &mut Window, writes: &[u64]) -> usize {
        let (profile, config) = (profile(), Config::default());
        for took in writes {
            window.stored(Duration::from_millis(*took), &profile, &config);
        }
        window.size(&profile, &config)
    }

    #[test]
    fn a_few_begin_and_all_that_the_carrier_takes_follow_while_they_are_quick() {
        let mut window = Window::default();
        assert_eq!(after(&mut window, &[]), 4);
        // Far away: as many more as were stored, up to all.
        assert_eq!(after(&mut window, &[21, 22, 22, 21]), 8);
        assert_eq!(after(&mut window, &[24; 8]), 16);
        // A little slower with all in flight.
        assert_eq!(after(&mut window, &[40, 45, 46, 44, 60, 60]), 16);
    }

    #[test]
    fn fewer_are_in_flight_while_they_stand_in_line_but_never_fewer_than_four() {
        let mut window = Window::default();
        assert_eq!(after(&mut window, &[2; 20]), 16);
        assert_eq!(after(&mut window, &[30; 5]), 11);
        assert_eq!(after(&mut window, &[60; 100]), 4);
        // The line is gone.
        assert_eq!(after(&mut window, &[3; 5]), 9);
        assert_eq!(after(&mut window, &[3; 50]), 16);
    }

    #[test]
    fn a_carrier_that_has_become_slower_for_good_is_given_all_again() {
        let mut window = Window::default();
        assert_eq!(after(&mut window, &[20; 20]), 16);
        assert_eq!(after(&mut window, &[100; 20]), 4);
        for _ in 0..40 {
            after(&mut window, &[100; 100]);
        }
        assert_eq!(after(&mut window, &[]), 16);
    }

    #[test]
    fn buffers_bound_it_from_the_beginning() {
        let small = Config {
            send_buffer: 4_000,
            ..Config::default()
        };
        let mut window = Window::default();
        assert_eq!(window.size(&profile(), &small), 3);
        for took in [1, 1, 1, 100, 100] {
            window.stored(Duration::from_millis(took), &profile(), &small);
        }
        assert_eq!(window.size(&profile(), &small), 3, "no fewer than it holds");
    }
}
