//! Connections that are up, so that one whose certificate is revoked can be cut off.

use futures_util::{AsyncRead, AsyncWrite};
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Who is at the other end, as far as certificates tell.
pub(crate) struct Peer {
    /// Its certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The name that it was dialed by; [`None`] if it dialed us.
    pub(crate) name: Option<ServerName<'static>>,
}

/// What a connection and whoever may cut it share.
pub(crate) struct Line {
    peer: Peer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cut: bool,
    /// Who waits to read, and who to write.
    wakers: [Option<Waker>; 2],
}

impl Line {
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error once it is cut; until then whoever asks is woken when it is.
    fn check(&self, cx: &Context<'_>, side: usize) -> io::Result<()> {
        let mut state = self.lock();
        if state.cut {
            return Err(revoked());
        }
        if let Some(slot) = state.wakers.get_mut(side)
            && !slot
                .as_ref()
                .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *slot = Some(cx.waker().clone());
        }
        Ok(())
    }

    fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

pub(crate) fn revoked() -> io::Error {
    let why = "the peer's certificate was revoked";
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// The connections that are up.
#[derive(Default)]
pub(crate) struct Live(Mutex<Vec<Weak<Line>>>);

impl Live {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, peer: Peer) -> Arc<Line> {
        let line = Arc::new(Line {
            peer,
            state: Mutex::default(),
        });
        let mut lines = self.lock();
        // Each time that it would grow: what is gone is thrown out first.
        if lines.len() == lines.capacity() {
            lines.retain(|line| line.strong_count() > 0);
        }
        lines.push(Arc::downgrade(&line));
        line
    }

    /// Cuts those whose peer is not wanted any more; says how many.
    pub(crate) fn cut(&self, unwanted: impl Fn(&Peer) -> bool) -> usize {
        let lines: Vec<Arc<Line>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let unwanted = lines.iter().filter(|line| unwanted(&line.peer));
        unwanted.map(|line| line.cut()).count()
    }
}

/// A connection that can be cut.
pub(crate) struct Watched<S> {
    pub(crate) socket: S,
    pub(crate) line: Arc<Line>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.line.check(cx, 0)?;
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.check(cx, 0)?;
        Pin::new(&mut self.socket).poll_read_vectored(cx, slices)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line.check(cx, 1)?;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.check(cx, 1)?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.check(cx, 1)?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.check(cx, 1)?;
        Pin::new(&mut self.socket).poll_close(cx)
    }
}
