//! An axum application that is reached through storage.
//!
//! `cargo run -p stillwire-examples --bin axum_http -- [STORE [HANDSHAKE TOKEN]]`

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use stillwire_tokio::{Config, Connection, ConnectionId, Listener, Store, Ticket, dial};
use tokio::sync::{Mutex, oneshot};

type Fault = Box<dyn std::error::Error + Send + Sync>;

// ANCHOR: listener
/// Our listener, as axum wants one. Shared, so that it can be stopped when axum is done with it.
struct OverStorage(Arc<Mutex<Listener>>);

impl axum::serve::Listener for OverStorage {
    type Io = Connection;
    type Addr = ConnectionId;

    async fn accept(&mut self) -> (Connection, ConnectionId) {
        match self.0.lock().await.accept().await {
            Ok(connection) => {
                let id = connection.id();
                (connection, id)
            }
            // It has ended for good; what is served already goes on.
            Err(error) => {
                eprintln!("no more connections: {error}");
                std::future::pending().await
            }
        }
    }

    fn local_addr(&self) -> io::Result<ConnectionId> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
// ANCHOR_END: listener

type Shelf = Arc<RwLock<BTreeMap<String, String>>>;

async fn put(State(shelf): State<Shelf>, Path(name): Path<String>, text: String) -> StatusCode {
    let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
    match shelf.insert(name, text) {
        None => StatusCode::CREATED,
        Some(_) => StatusCode::OK,
    }
}

async fn fetch(State(shelf): State<Shelf>, Path(name): Path<String>) -> Result<String, StatusCode> {
    let shelf = shelf.read().unwrap_or_else(PoisonError::into_inner);
    shelf.get(&name).cloned().ok_or(StatusCode::NOT_FOUND)
}

/// One client with a connection of its own.
async fn ask(ticket: &Ticket, requests: &[(&str, &str, &'static str)]) -> Result<(), Fault> {
    let connection = dial(ticket, Config::default()).await?;
    let (mut client, driving) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    let driving = tokio::spawn(driving);
    for (method, path, body) in requests {
        let request = Request::builder()
            .method(*method)
            .uri(*path)
            .header("host", "stillwire")
            .body(Full::new(Bytes::from_static(body.as_bytes())))?;
        client.ready().await?;
        let response = client.send_request(request).await?;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await?.to_bytes();
        println!(
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&text)
        );
    }
    drop(client);
    Ok(driving.await??)
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let (store, options) = stillwire_examples::place();
    let store = Store::from_address(&store, &options)?;
    let listener = store.listen(Config::default()).await?;
    let ticket = listener.ticket().clone();
    let listener = Arc::new(Mutex::new(listener));

    let application = Router::new()
        .route("/shelf/{name}", get(fetch).put(put))
        .with_state(Shelf::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(OverStorage(listener.clone()), application)
        .with_graceful_shutdown(async { drop(stopped.await) });
    let serving = tokio::spawn(async move { serving.await });

    ask(
        &ticket,
        &[("PUT", "/shelf/a", "apple"), ("GET", "/shelf/a", "")],
    )
    .await?;
    ask(&ticket, &[("GET", "/shelf/a", ""), ("GET", "/shelf/b", "")]).await?;

    drop(stop);
    serving.await??;
    let listener = Arc::into_inner(listener).ok_or("axum still holds the listener")?;
    listener.into_inner().stop().await?;
    Ok(())
}
