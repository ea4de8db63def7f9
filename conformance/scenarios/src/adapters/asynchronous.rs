//! The adapters of async runtimes, which differ in how a thread waits for a future.

use super::{Adapter, End, Identity, Listener, Reading, Writing, to_pending};
use crate::Place;
use azure_core::http::HttpClient;
use futures_util::future::BoxFuture;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use stillwire_futures::{Config, Error, Outcome, Runtime, Stats, Ticket};

macro_rules! adapter {
    ($module:ident, $name:literal, $crate_name:ident, $($waiting:item)*) => {
        #[doc = concat!("`", stringify!($crate_name), "`.")]
        pub mod $module {
            use super::*;
            use $crate_name as krate;

            $($waiting)*

            /// Both ends run on it.
            pub struct Runs;

            impl Adapter for Runs {
                fn name(&self) -> &'static str {
                    $name
                }

                fn listen(
                    &self,
                    place: &Place,
                    config: Config,
                ) -> Result<Box<dyn Listener>, Error> {
                    let store = krate::Store::from_address(&place.address, &place.options);
                    let store = store.expect("an address");
                    let listener = block_on(store.listen(config))?;
                    Ok(Box::new(Listens(listener)))
                }

                fn dial(&self, ticket: &Ticket, config: Config) -> Result<End, Error> {
                    block_on(async { krate::dial(ticket, config).await }).map(halves)
                }

                fn http(&self) -> azure_core::Result<Arc<dyn HttpClient>> {
                    krate::http_client()
                }

                fn runtime(&self) -> Arc<dyn Runtime> {
                    ours()
                }

                fn wait(&self, request: BoxFuture<'static, Outcome>) -> Outcome {
                    block_on(request)
                }
            }

            fn halves(connection: krate::Connection) -> End {
                let (read, write) = connection.split();
                End {
                    read: Box::new(Reads(read)),
                    write: Box::new(Writes(write)),
                }
            }

            struct Listens(krate::Listener);
            struct Reads(krate::ReadHalf);
            struct Writes(krate::WriteHalf);

            impl Listener for Listens {
                fn ticket(&self) -> Ticket {
                    self.0.ticket().clone()
                }

                fn accept(&mut self) -> Result<End, Error> {
                    block_on(self.0.accept()).map(halves)
                }

                fn stop(self: Box<Self>) -> Result<(), Error> {
                    block_on(self.0.stop())
                }
            }

            impl Reading for Reads {
                fn identity(&self) -> Identity {
                    Identity {
                        id: self.0.id(),
                        binding: self.0.channel_binding(),
                        role: self.0.role(),
                    }
                }

                fn stats(&self) -> Stats {
                    self.0.stats()
                }

                fn is_confirmed(&self) -> bool {
                    self.0.is_confirmed()
                }

                fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                    block_on(self.0.read(buffer))
                }

                fn read_within(
                    &mut self,
                    limit: Duration,
                    buffer: &mut [u8],
                ) -> Option<io::Result<usize>> {
                    block_on(within(limit, self.0.read(buffer)))
                }

                fn read_to_pending(
                    &mut self,
                    k: u32,
                    buffer: &mut [u8],
                ) -> Option<io::Result<usize>> {
                    block_on(to_pending(k, self.0.read(buffer)))
                }
            }

            impl Writing for Writes {
                fn stats(&self) -> Stats {
                    self.0.stats()
                }

                fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
                    block_on(self.0.write_all(data))
                }

                fn write_within(
                    &mut self,
                    limit: Duration,
                    data: &[u8],
                ) -> Option<io::Result<usize>> {
                    block_on(within(limit, self.0.write(data)))
                }

                fn flush(&mut self) -> io::Result<()> {
                    block_on(self.0.flush())
                }

                fn close_write(&mut self) -> io::Result<()> {
                    block_on(self.0.close_write())
                }

                fn closed(&mut self) -> Result<(), Error> {
                    block_on(self.0.closed())
                }

                fn write_to_pending(&mut self, k: u32, data: &[u8]) -> Option<io::Result<usize>> {
                    block_on(to_pending(k, self.0.write(data)))
                }

                fn flush_to_pending(&mut self, k: u32) -> Option<io::Result<()>> {
                    block_on(to_pending(k, self.0.flush()))
                }

                fn close_to_pending(&mut self, k: u32) -> Option<io::Result<()>> {
                    block_on(to_pending(k, self.0.close_write()))
                }
            }
        }
    };
}

adapter! {
    tokio, "tokio", stillwire_tokio,

    use std::sync::OnceLock;
    use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
    use ::tokio::runtime::{Builder, Runtime as Tokio};

    fn runtime() -> &'static Tokio {
        static RUNTIME: OnceLock<Tokio> = OnceLock::new();
        RUNTIME.get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2).enable_all().build().expect("a runtime")
        })
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        runtime().block_on(future)
    }

    fn ours() -> Arc<dyn Runtime> {
        Arc::new(krate::TokioRuntime::new(runtime().handle().clone()))
    }

    async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        ::tokio::time::timeout(limit, future).await.ok()
    }
}

adapter! {
    async_std, "async-std", stillwire_async_std,

    use ::async_std::io::prelude::{ReadExt, WriteExt};

    fn block_on<F: Future>(future: F) -> F::Output {
        ::async_std::task::block_on(future)
    }

    fn ours() -> Arc<dyn Runtime> {
        Arc::new(krate::AsyncStdRuntime::new())
    }

    async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        ::async_std::future::timeout(limit, future).await.ok()
    }
}

adapter! {
    smol, "smol", stillwire_smol,

    use ::smol::io::{AsyncReadExt, AsyncWriteExt};

    fn block_on<F: Future>(future: F) -> F::Output {
        ::smol::block_on(future)
    }

    fn ours() -> Arc<dyn Runtime> {
        Arc::new(krate::SmolRuntime::new())
    }

    async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        let late = async {
            ::smol::Timer::after(limit).await;
            None
        };
        ::smol::future::or(async { Some(future.await) }, late).await
    }
}
