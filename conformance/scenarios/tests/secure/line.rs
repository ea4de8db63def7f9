//! UDP on the loopback that goes wrong: a proxy between two addresses.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use stillwire_core::crypto::Rng;

/// A socket whose reads end soon, and where it is.
pub(crate) fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let pause = Some(Duration::from_millis(2));
    socket.set_read_timeout(pause).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// What happened on the line, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u32,
    pub(crate) doubled: u32,
    pub(crate) late: u32,
    pub(crate) altered: u32,
}

/// Carries datagrams between two ends until it is dropped or ended.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Faults>>,
}

impl Line {
    /// `carry` says what goes on in place of each datagram: from which end it came, and its bytes;
    /// without bytes nothing has come for a while.
    pub(crate) fn new(
        ends: [SocketAddr; 2],
        mut carry: impl FnMut(usize, Option<&[u8]>, &mut Faults) -> Vec<(usize, Vec<u8>)>
        + Send
        + 'static,
    ) -> Self {
        let (socket, address) = socket();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut faults) = ([0; 2_048], Faults::default());
            while !stopped.load(Ordering::Relaxed) {
                let passed = match socket.recv_from(&mut buffer) {
                    Ok((n, from)) => {
                        let from = usize::from(from != ends[0]);
                        carry(from, Some(&buffer[..n]), &mut faults)
                    }
                    Err(_) => carry(0, None, &mut faults),
                };
                for (to, datagram) in passed {
                    let _ = socket.send_to(&datagram, ends[to]);
                }
            }
            faults
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// One that loses, doubles, holds back and alters.
    pub(crate) fn bad(ends: [SocketAddr; 2]) -> Self {
        let mut rng = Rng::from_seed([3; 32]);
        let mut held: Vec<(usize, Vec<u8>)> = Vec::new();
        Self::new(ends, move |from, datagram, faults| {
            let Some(datagram) = datagram else {
                // Nothing comes: what was held back goes out.
                return std::mem::take(&mut held);
            };
            let to = 1 - from;
            let [chance, place, which] = rng.array();
            let mut datagram = datagram.to_vec();
            let mut passed = Vec::new();
            match chance {
                0..30 => faults.lost += 1,
                30..60 => {
                    faults.late += 1;
                    held.push((to, datagram));
                }
                60..80 => {
                    faults.doubled += 1;
                    passed = vec![(to, datagram.clone()), (to, datagram)];
                }
                80..90 => {
                    faults.altered += 1;
                    let at = usize::from(place) % datagram.len();
                    datagram[at] ^= 1 << (which % 8);
                    passed.push((to, datagram));
                }
                _ => passed.push((to, datagram)),
            }
            if held.len() > 8 {
                passed.push(held.swap_remove(usize::from(place) % held.len()));
            }
            passed
        })
    }

    /// Ends the line; what happened on it.
    pub(crate) fn end(mut self) -> Faults {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
