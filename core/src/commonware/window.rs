//! Which timestamps are taken (wire page `commonware`, "V0").

use super::Profile;
use crate::error::{Class, Error};
use crate::time::UnixTime;
use core::time::Duration;

/// The window around our own clock: `[now − max_age, now + synchrony)`, in milliseconds, both ends
/// saturating. Era a includes its upper end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How old a message may be. It bounds how long a Syn can be replayed.
    pub max_age: Duration,
    /// How far the peer's clock may be ahead of ours. 0 refuses even the same millisecond (but not
    /// in era a).
    pub synchrony: Duration,
}

impl Default for Window {
    /// 10 s back, 5 s ahead.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(10),
            synchrony: Duration::from_secs(5),
        }
    }
}

impl Window {
    /// Judges a timestamp by the clock at its receipt: [`Class::Stale`] or [`Class::Future`].
    pub fn check(self, profile: Profile, sent: UnixTime, now: UnixTime) -> Result<(), Error> {
        if sent < now.before(self.max_age) {
            return Err(Error::peer(
                Class::Stale,
                "a handshake message is too old; compare the clocks of both ends",
            ));
        }
        let end = now.after(self.synchrony);
        if sent > end || (sent == end && !profile.includes_the_end()) {
            return Err(Error::peer(
                Class::Future,
                "a handshake message comes from the future; compare the clocks of both ends",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(profile: Profile, window: Window, sent: u64, now: u64) -> Option<Class> {
        let (sent, now) = (UnixTime::from_millis(sent), UnixTime::from_millis(now));
        let error = window.check(profile, sent, now).err();
        error.and_then(|error| error.class())
    }

    fn window(max_age: u64, synchrony: u64) -> Window {
        Window {
            max_age: Duration::from_millis(max_age),
            synchrony: Duration::from_millis(synchrony),
        }
    }

    #[test]
    fn case_103_each_edge_of_the_window() {
        let (now, open) = (1_000_000, window(10_000, 5_000));
        for profile in Profile::ALL {
            let last = if profile == Profile::A {
                None
            } else {
                Some(Class::Future)
            };
            for (sent, fault) in [
                (989_999, Some(Class::Stale)),
                (990_000, None),
                (1_000_000, None),
                (1_004_999, None),
                (1_005_000, last),
                (1_005_001, Some(Class::Future)),
                (0, Some(Class::Stale)),
                (u64::MAX, Some(Class::Future)),
            ] {
                assert_eq!(judge(profile, open, sent, now), fault, "{profile} {sent}");
            }
        }
    }

    #[test]
    fn a_bound_of_0_refuses_even_the_same_millisecond() {
        for profile in [Profile::B, Profile::V0, Profile::V1] {
            assert_eq!(judge(profile, window(0, 0), 7, 7), Some(Class::Future));
            assert_eq!(judge(profile, window(0, 1), 7, 7), None);
        }
        assert_eq!(judge(Profile::A, window(0, 0), 7, 7), None);
        assert_eq!(judge(Profile::A, window(0, 0), 8, 7), Some(Class::Future));
        assert_eq!(judge(Profile::A, window(0, 0), 6, 7), Some(Class::Stale));
    }

    #[test]
    fn both_ends_saturate() {
        let wide = window(u64::MAX, u64::MAX);
        for profile in Profile::ALL {
            assert_eq!(judge(profile, wide, 0, 5), None);
            assert_eq!(judge(profile, wide, u64::MAX - 1, 5), None);
            let last = if profile == Profile::A {
                None
            } else {
                Some(Class::Future)
            };
            assert_eq!(judge(profile, wide, u64::MAX, u64::MAX), last);
        }
    }
}
