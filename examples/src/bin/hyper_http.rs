//! HTTP/1.1 over a storage connection: hyper's server on one end, its client on the other.
//!
//! `cargo run -p stillwire-examples --bin hyper_http -- [STORE [HANDSHAKE TOKEN]]`

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use stillwire_tokio::{Config, Connection, Store, dial};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The longest body that is taken, in bytes.
const LONGEST: usize = 16 << 20;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Fault> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => (StatusCode::OK, "hello from the other end".to_owned()),
        (&Method::POST, "/length") => {
            let body = http_body_util::Limited::new(request.into_body(), LONGEST);
            let length = body.collect().await?.to_bytes().len();
            (StatusCode::OK, format!("{length} bytes"))
        }
        _ => (StatusCode::NOT_FOUND, "nothing there".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    Ok(response)
}

/// Serves one connection until its client has enough.
async fn serve(connection: Connection) -> Result<(), Fault> {
    let server = hyper::server::conn::http1::Builder::new();
    let serving = server.serve_connection(TokioIo::new(connection), service_fn(answer));
    Ok(serving.await?)
}

/// Three requests, one after the other, on one connection.
async fn ask(connection: Connection) -> Result<(), Fault> {
    let (mut client, driving) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    let driving = tokio::spawn(driving);
    for (method, path, body) in [
        (Method::GET, "/", Bytes::new()),
        (Method::POST, "/length", vec![b'x'; 5_000_000].into()),
        (Method::GET, "/else", Bytes::new()),
    ] {
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", "stillwire")
            .body(Full::new(body))?;
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
    let mut listener = store.listen(Config::default()).await?;
    let ticket = listener.ticket().clone();

    let asking = tokio::spawn(async move { ask(dial(&ticket, Config::default()).await?).await });
    serve(listener.accept().await?).await?;
    asking.await??;
    listener.stop().await?;
    Ok(())
}
