//! Sockets of the standard library for [`stillwire_futures::asoc`]. What blocks is done by
//! threads of their own.

use super::socket::Socket as Threaded;
use crate::Threads;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stillwire_futures::asoc::{Acceptor, Datagrams, Net, Socket};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How long connecting may take: nobody can take a thread away that waits for it.
const CONNECT: Duration = Duration::from_secs(10);

/// Sockets, and threads for what blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockingNet;

/// `work` on a thread of the pool.
fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, io::Result<T>> {
    answer(Threads::shared().call(work))
}

/// `work` that waits until a peer comes.
fn wait<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, io::Result<T>> {
    answer(Threads::shared().wait(work))
}

fn answer<T: Send + 'static>(
    done: BoxFuture<'static, Option<io::Result<T>>>,
) -> BoxFuture<'static, io::Result<T>> {
    Box::pin(async move {
        let result = done.await;
        result.unwrap_or_else(|| Err(io::Error::other("there is no thread for it")))
    })
}

fn boxed(stream: TcpStream) -> io::Result<Box<dyn Socket>> {
    Ok(Box::new(Threaded::new(stream)?))
}

/// A listener; a thread that waits in accept ends when it is dropped.
struct Listening {
    listener: Arc<TcpListener>,
    dropped: Arc<AtomicBool>,
}

impl Acceptor for Listening {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Socket>, SocketAddr)>> {
        let (listener, dropped) = (Arc::clone(&self.listener), Arc::clone(&self.dropped));
        wait(move || {
            let (stream, from) = listener.accept()?;
            if dropped.load(Ordering::Acquire) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            Ok((boxed(stream)?, from))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Release);
        // Wakes a thread that waits in accept.
        if let Ok(mut at) = self.listener.local_addr() {
            if at.ip().is_unspecified() {
                at.set_ip(match at {
                    SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            let _ = TcpStream::connect_timeout(&at, Duration::from_millis(100));
        }
    }
}

/// A UDP socket; a thread that waits for a datagram ends within a second after it was dropped.
pub(crate) struct Udp {
    socket: Arc<UdpSocket>,
}

impl Udp {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        // One that does not block would keep its thread busy.
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let socket = Arc::new(socket);
        Ok(Self { socket })
    }
}

impl Datagrams for Udp {
    fn send_to<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        // A datagram is handed to the system, which does not wait for anybody.
        let sent = self.socket.send_to(datagram, to).map(|_| ());
        Box::pin(std::future::ready(sent))
    }

    fn receive<'a>(
        &'a self,
        buffer: &'a mut [u8],
    ) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        let (socket, length) = (Arc::clone(&self.socket), buffer.len());
        let received = wait(move || {
            let mut received = vec![0; length];
            loop {
                match socket.recv_from(&mut received) {
                    Ok((length, from)) => {
                        received.truncate(length);
                        return Ok((received, from));
                    }
                    // So that the thread ends soon after the node: it alone holds the socket then.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if Arc::strong_count(&socket) == 1 {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        });
        Box::pin(async move {
            let (received, from) = received.await?;
            if let Some(to) = buffer.get_mut(..received.len()) {
                to.copy_from_slice(&received);
            }
            Ok((received.len(), from))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Net for BlockingNet {
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Socket>>> {
        unblock(move || boxed(TcpStream::connect_timeout(&to, CONNECT)?))
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        let bound = TcpListener::bind(at).map(|listener| {
            Box::new(Listening {
                listener: Arc::new(listener),
                dropped: Arc::default(),
            }) as Box<dyn Acceptor>
        });
        Box::pin(std::future::ready(bound))
    }

    fn bind(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn Datagrams>>> {
        let bound = UdpSocket::bind(at).and_then(|socket| {
            socket.set_broadcast(true)?;
            Ok(Arc::new(Udp::new(socket)?) as Arc<dyn Datagrams>)
        });
        Box::pin(std::future::ready(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_came_without_blocking_waits_all_the_same() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let at = socket.local_addr().unwrap();
        let udp = Udp::new(socket).unwrap();
        let (started, began) = std::sync::mpsc::channel();
        let waiting = Arc::clone(&udp.socket);
        let waiter = std::thread::spawn(move || {
            started.send(()).unwrap();
            waiting.recv_from(&mut [0; 8]).map(|(length, _)| length)
        });
        began.recv().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        udp.socket.send_to(b"late", at).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), 4);
    }
}
