//! Standard input and output as one end of a relay.

use crate::exit::Fault;
use crate::process::end_stdout;
use crate::relay::Local;
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncWrite, Stdin};

/// Standard output, whose reader sees its end at shutdown, while the process goes on.
pub(crate) struct Stdout(tokio::io::Stdout);

/// What `listen` and `dial` join to a connection.
pub(crate) fn local() -> Local<Stdin, Stdout> {
    Local {
        source: tokio::io::stdin(),
        sink: Stdout(tokio::io::stdout()),
        // Nobody shall have to press a key to end a transfer that is over.
        ends_with_peer: io::stdin().is_terminal(),
        fault: Fault::file,
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.0).poll_shutdown(cx);
        flushed.map(|result| result.and_then(|()| end_stdout()))
    }
}
