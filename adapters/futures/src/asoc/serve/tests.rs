//! What happens between two looks at a node.

use super::super::net::{Acceptor, Datagrams, Net, Socket};
use super::super::node::{Node, Options};
use crate::runtime::Runtime;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use stillwire_core::Instant;
use stillwire_core::asoc::{ApiKey, NodeId};

/// Runs nothing by itself, and calls something when somebody is about to sleep.
#[derive(Default)]
struct ByHand {
    tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    before_sleep: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Runtime for ByHand {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.lock().unwrap().push(task);
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        let call = self.before_sleep.lock().unwrap().take();
        if let Some(call) = call {
            call();
        }
        pending().boxed()
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        ready(()).boxed()
    }
}

struct Nowhere;

fn nowhere<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Net for Nowhere {
    fn connect(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Socket>>> {
        ready(nowhere()).boxed()
    }

    fn listen(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        ready(nowhere()).boxed()
    }

    fn bind(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn Datagrams>>> {
        ready(nowhere()).boxed()
    }
}

#[test]
fn what_happens_before_the_driver_sleeps_keeps_it_awake() {
    let runtime = Arc::new(ByHand::default());
    let key = ApiKey::new(b"a key of the cluster, 32 bytes..").unwrap();
    let options = Options::new(NodeId::from_bytes([1; 16]), key);
    let node = Node::start(runtime.clone(), Arc::new(Nowhere), options);
    let node = node.now_or_never().unwrap().unwrap();
    let mut tasks = std::mem::take(&mut *runtime.tasks.lock().unwrap());
    let stop: Box<dyn FnOnce() + Send> = Box::new(move || node.stop());
    *runtime.before_sleep.lock().unwrap() = Some(stop);
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(tasks.len(), 1);
    assert!(
        tasks[0].as_mut().poll(&mut cx).is_ready(),
        "the driver sleeps though its node was stopped"
    );
}
