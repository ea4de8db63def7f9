//! Any protocol that rides a byte stream, over any byte stream.
//!
//! [`SecureStream::open`] takes a carrier (a TCP connection, a pipe: [`AsyncRead`] and
//! [`AsyncWrite`]) and a machine that is [`Streamed`], runs the handshake, and gives a byte stream,
//! or with [`SecureStream::into_messages`] halves that send and receive whole messages. One piece for
//! all: it knows no protocol.
//!
//! # What the machine tells
//!
//! With [`SecureStream::open_with`] the application hears every event of the machine, from the
//! handshake on, and may answer through a [`Control`], at once or later: whether it talks to a peer
//! that asks, for one.
//!
//! # Ending
//!
//! [`SecureWriter::close_write`] ends our direction and reading goes on; dropping everything sends
//! what was written, within [`LINGER`], and says no end. A protocol with an end mark (ziti,
//! PacketFS) says it authentically: to its peer a stream without one is an error, and never a
//! shortened stream that looks whole. **commonware has none**: its peer sees the same end after
//! `close_write`, after dropping, and when somebody cut the carrier between two records.
//! [`SecureStream::ended_authentically`] tells which kind of end was read.

mod carry;
mod control;
mod halves;

pub use control::Control;
pub use halves::{MessageReceiver, MessageSender, SecureReader, SecureStream, SecureWriter};

use crate::runtime::Runtime;
use carry::{Carry, OnEvent};
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use stillwire_core::{Channel, Error, Messages, Streamed};
use stillwire_pump::Pump;

/// How long a dropped connection tries to send what was written, and waits for the peer to take
/// it.
pub const LINGER: Duration = Duration::from_secs(30);

/// What a machine must be to ride a byte stream; implemented for all that are.
pub trait Secure: Channel + Messages + Streamed + Send + 'static {}

impl<M: Channel + Messages + Streamed + Send + 'static> Secure for M {}

/// What the application holds; with the last one gone, the connection is dropped.
struct Handle<M: Secure> {
    pump: Arc<Pump<M>>,
    runtime: Arc<dyn Runtime>,
}

impl<M: Secure> Drop for Handle<M> {
    fn drop(&mut self) {
        self.pump.abandon();
    }
}

/// Ends the wait of everybody when the task is gone, even with its runtime.
struct Ending<M: Secure>(Arc<Pump<M>>);

impl<M: Secure> Drop for Ending<M> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<M: Secure> SecureStream<M> {
    /// Runs the machine over this carrier in a background task; ready when its handshake is
    /// complete.
    ///
    /// Given up, the carrier is closed. How long the handshake may take is the machine's setting.
    ///
    /// # Errors
    /// What ended the handshake: the peer's fault, time, or the end of the carrier.
    pub async fn open<T>(runtime: Arc<dyn Runtime>, carrier: T, machine: M) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::open_with(runtime, carrier, machine, |_, _| {}).await
    }

    /// As [`Self::open`], and everything the machine tells goes to `on_event`, from the handshake to
    /// the end of the connection. What the machine asks is answered through the [`Control`], there
    /// or later with a clone of it. `on_event` runs on the task that moves the bytes: it must not
    /// block.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with<T>(
        runtime: Arc<dyn Runtime>,
        carrier: T,
        machine: M,
        mut on_event: impl FnMut(&Control<M>, M::Event) + Send + 'static,
    ) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pump = Arc::new(Pump::streamed(machine));
        let handle = Handle {
            pump: pump.clone(),
            runtime: runtime.clone(),
        };
        let ending = Ending(pump.clone());
        let control = Control::new(pump.clone(), runtime.clone());
        let told: OnEvent<M> = Box::new(move |event| on_event(&control, event));
        let carry = Carry::new(pump, runtime.clone(), carrier, LINGER, told);
        runtime.spawn(Box::pin(async move {
            let _ending = ending;
            carry.await;
        }));
        poll_fn(|cx| handle.pump.poll_established(cx)).await?;
        Ok(Self {
            handle: Arc::new(handle),
        })
    }
}
