//! Epochs: the keys in use, one set per direction, and how they move on. Wire page `packetfs`,
//! "Record".

use super::handshake::Schedule;
use super::record::{Opener, Sealer, in_order};
use super::window::Window;
use super::wire::header::{HEADER, Header};
use super::wire::{ChannelId, Direction};
use crate::error::{Class, Error};
use crate::time::Instant;
use core::time::Duration;

/// The last epoch.
const LAST: u32 = u32::MAX;

/// Our direction.
pub(super) struct Sending {
    direction: Direction,
    epoch: u32,
    sealers: [Option<Sealer>; 4],
    bytes: u64,
    records: u64,
}

impl Sending {
    /// In `epoch`, of which nothing was sealed yet.
    pub(super) fn at(direction: Direction, epoch: u32) -> Self {
        Self {
            direction,
            epoch,
            sealers: Default::default(),
            bytes: 0,
            records: 0,
        }
    }

    /// In epoch 0, of which the records of `channel` below `sequence` were sealed elsewhere, and no
    /// others.
    pub(super) fn past(
        schedule: &Schedule,
        direction: Direction,
        channel: ChannelId,
        sequence: u64,
    ) -> Result<Self, Error> {
        let mut sending = Self::at(direction, 0);
        let key = schedule.key(direction, channel, 0)?;
        let sealer = Sealer::at(schedule.algorithm(), &key, channel, 0, sequence);
        if let Some(slot) = sending.sealers.get_mut(usize::from(channel.number())) {
            *slot = Some(sealer);
        }
        Ok(sending)
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// True when a budget of this epoch is used up.
    pub(super) const fn is_due(&self, bytes: u64, records: u64) -> bool {
        self.bytes >= bytes || self.records >= records
    }

    /// Seals a record of `channel` in place.
    pub(super) fn seal(
        &mut self,
        schedule: &Schedule,
        channel: ChannelId,
        record: &mut [u8],
        limit: u32,
    ) -> Result<(), Error> {
        let slot = self.sealers.get_mut(usize::from(channel.number()));
        let slot = slot.ok_or(Error::Misuse("there are four channels"))?;
        let sealer = if let Some(sealer) = slot {
            sealer
        } else {
            let key = schedule.key(self.direction, channel, self.epoch)?;
            slot.insert(Sealer::new(schedule.algorithm(), &key, channel, self.epoch))
        };
        sealer.seal(record, limit)?;
        self.bytes = self.bytes.saturating_add(record.len() as u64);
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    /// The epoch after this one, or [`Class::DataLimit`] after the last.
    pub(super) fn following(&self) -> Result<u32, Error> {
        self.epoch.checked_add(1).ok_or(Error::limit(
            Class::DataLimit,
            "every epoch of this session is used up: open a new session",
        ))
    }

    /// Moves on. The keys of the old epoch are gone.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        *self = Self::at(self.direction, self.following()?);
        Ok(())
    }
}

/// What keeps the records of one key in order.
enum Order {
    Next(u64),
    Window(Window),
}

/// The key of one channel and epoch, and what came under it.
struct Cell {
    opener: Opener,
    order: Order,
}

impl Cell {
    fn open(
        &mut self,
        header: &Header,
        bytes: &[u8; HEADER],
        body: &mut [u8],
    ) -> Result<usize, Error> {
        match &self.order {
            Order::Next(expected) => in_order(header.sequence, *expected)?,
            Order::Window(window) => window.check(header.sequence)?,
        }
        let length = self.opener.open(bytes, body)?;
        match &mut self.order {
            Order::Next(expected) => *expected = header.sequence.saturating_add(1),
            // Only what is authentic moves the window.
            Order::Window(window) => window.accept(header.sequence)?,
        }
        Ok(length)
    }
}

/// The keys of one epoch.
struct Epoch {
    number: u32,
    cells: [Option<Cell>; 4],
}

impl Epoch {
    fn new(number: u32) -> Self {
        Self {
            number,
            cells: Default::default(),
        }
    }

    /// The key of `channel`, derived when it is first needed.
    fn cell(
        &mut self,
        schedule: &Schedule,
        direction: Direction,
        channel: ChannelId,
        ordered: bool,
    ) -> Result<&mut Cell, Error> {
        let slot = self.cells.get_mut(usize::from(channel.number()));
        let slot = slot.ok_or(Error::Misuse("there are four channels"))?;
        if slot.is_none() {
            let key = schedule.key(direction, channel, self.number)?;
            let order = if ordered {
                Order::Next(0)
            } else {
                Order::Window(Window::new())
            };
            let opener = Opener::new(schedule.algorithm(), &key, channel, self.number);
            *slot = Some(Cell { opener, order });
        }
        slot.as_mut()
            .ok_or(Error::Misuse("the key was just derived"))
    }

    /// True when the epoch bits of `flags` are this epoch's.
    const fn is_meant(&self, flags: u8) -> bool {
        flags >> 2 == (self.number & 0x3f) as u8
    }
}

/// A record that opened.
pub(super) struct Opened {
    pub(super) channel: ChannelId,
    /// The epoch of its key.
    pub(super) epoch: u32,
    /// Bytes of plaintext at the start of its body.
    pub(super) length: usize,
}

/// The peer's direction.
pub(super) struct Receiving {
    direction: Direction,
    ordered: bool,
    grace: Duration,
    current: Epoch,
    /// The epoch before, accepted until then.
    old: Option<(Epoch, Instant)>,
}

impl Receiving {
    /// In `epoch`. On an ordered stream sequences increase by one; on datagrams a window counts.
    pub(super) fn at(direction: Direction, epoch: u32, ordered: bool, grace: Duration) -> Self {
        Self {
            direction,
            ordered,
            grace,
            current: Epoch::new(epoch),
            old: None,
        }
    }

    /// Opens a record's body in place.
    ///
    /// [`Class::Auth`] when its epoch is neither the current one nor the one before within its
    /// grace. On datagrams a record of the next epoch that proves authentic stands for the
    /// announcement, which may have been lost.
    pub(super) fn open(
        &mut self,
        schedule: &Schedule,
        now: Instant,
        header: &Header,
        bytes: &[u8; HEADER],
        body: &mut [u8],
    ) -> Result<Opened, Error> {
        if self.old.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.old = None;
        }
        let channel = ChannelId::from_number(header.flags & 3)?;
        let next = (!self.ordered && self.current.number < LAST)
            .then(|| Epoch::new(self.current.number.saturating_add(1)))
            .filter(|next| next.is_meant(header.flags));
        if let Some(mut next) = next {
            let cell = next.cell(schedule, self.direction, channel, self.ordered)?;
            let length = cell.open(header, bytes, body)?;
            let epoch = next.number;
            self.enter(next, now);
            return Ok(Opened {
                channel,
                epoch,
                length,
            });
        }
        let old = self.old.as_mut().map(|(old, _)| old);
        let epoch = [Some(&mut self.current), old]
            .into_iter()
            .flatten()
            .find(|epoch| epoch.is_meant(header.flags))
            .ok_or(Error::auth())?;
        let cell = epoch.cell(schedule, self.direction, channel, self.ordered)?;
        let length = cell.open(header, bytes, body)?;
        Ok(Opened {
            channel,
            epoch: epoch.number,
            length,
        })
    }

    fn enter(&mut self, next: Epoch, now: Instant) {
        let old = core::mem::replace(&mut self.current, next);
        self.old = Some((old, now.after(self.grace)));
    }

    /// A control record of epoch `by` announced epoch `new`.
    ///
    /// On an ordered stream an epoch that was reached before is [`Class::Replay`], and one that
    /// leaves others out [`Class::State`]. On datagrams announcements come twice and late: only
    /// one that leaves others out is a fault.
    pub(super) fn announced(&mut self, by: u32, new: u32, now: Instant) -> Result<(), Error> {
        if Some(new) != by.checked_add(1) {
            return Err(if new <= by {
                Error::peer(
                    Class::Replay,
                    "an epoch was announced that is over: epochs never roll back",
                )
            } else {
                Error::peer(Class::State, "an epoch was left out: epochs advance by one")
            });
        }
        if Some(new) == self.current.number.checked_add(1) {
            self.enter(Epoch::new(new), now);
            return Ok(());
        }
        if self.ordered {
            return Err(Error::peer(Class::Replay, "the epoch was announced before"));
        }
        Ok(())
    }
}
