//! gRPC over a storage connection: tonic on both ends, one call with one answer and one with many.
//! Written by hand where usually a build script writes it, so that no compiler for protocol
//! buffers is needed.
//!
//! `cargo run -p stillwire-examples --bin tonic_grpc -- [STORE [HANDSHAKE TOKEN]]`

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use hyper::body::Body;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::task::{Context, Poll};
use stillwire_tokio::{Config, Connection, Store, Ticket, dial};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// `message Said { string text = 1; }`
#[derive(Clone, PartialEq, prost::Message)]
struct Said {
    #[prost(string, tag = "1")]
    text: String,
}

/// `message Often { string text = 1; uint32 times = 2; }`
#[derive(Clone, PartialEq, prost::Message)]
struct Often {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "2")]
    times: u32,
}

/// `rpc Say (Said) returns (Said)`
const SAY: &str = "/stillwire.Echo/Say";
/// `rpc Repeat (Often) returns (stream Said)`
const REPEAT: &str = "/stillwire.Echo/Repeat";
/// Most answers of one call.
const MOST: u32 = 1_000;

async fn say(request: tonic::Request<Said>) -> Result<tonic::Response<Said>, Status> {
    Ok(tonic::Response::new(request.into_inner()))
}

type Answers = stream::BoxStream<'static, Result<Said, Status>>;

async fn repeat(request: tonic::Request<Often>) -> Result<tonic::Response<Answers>, Status> {
    let Often { text, times } = request.into_inner();
    if times > MOST {
        return Err(Status::invalid_argument("that is too often"));
    }
    let answers = (1..=times).map(move |number| {
        Ok(Said {
            text: format!("{text} {number}"),
        })
    });
    Ok(tonic::Response::new(Box::pin(stream::iter(answers))))
}

/// `service Echo`
#[derive(Clone)]
struct Echo;

impl<B> Service<Request<B>> for Echo
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Fault> + Send,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                SAY => {
                    let codec = ProstCodec::<Said, Said>::default();
                    let mut grpc = tonic::server::Grpc::new(codec);
                    grpc.unary(service_fn(say), request).await
                }
                REPEAT => {
                    let codec = ProstCodec::<Said, Often>::default();
                    let mut grpc = tonic::server::Grpc::new(codec);
                    grpc.server_streaming(service_fn(repeat), request).await
                }
                _ => Status::unimplemented("there is no such call").into_http(),
            })
        })
    }
}

// ANCHOR: carry
/// Serves one connection until its client has enough.
async fn serve(connection: Connection) -> Result<(), Fault> {
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let echo = TowerToHyperService::new(Echo);
    Ok(server
        .serve_connection(TokioIo::new(connection), echo)
        .await?)
}

/// A channel whose connections go through storage; the URI names nothing that is looked up.
async fn connect(ticket: Ticket) -> Result<Channel, Fault> {
    let connector = service_fn(move |_: Uri| {
        let ticket = ticket.clone();
        async move {
            let connection = dial(&ticket, Config::default()).await?;
            Ok::<_, stillwire_tokio::Error>(TokioIo::new(connection))
        }
    });
    let endpoint = Endpoint::from_static("http://stillwire");
    Ok(endpoint.connect_with_connector(connector).await?)
}
// ANCHOR_END: carry

async fn ask(ticket: Ticket) -> Result<(), Fault> {
    let mut grpc = tonic::client::Grpc::new(connect(ticket).await?);

    let text = "hello".to_owned();
    let codec = ProstCodec::<Said, Said>::default();
    grpc.ready().await?;
    let path = PathAndQuery::from_static(SAY);
    let request = tonic::Request::new(Said { text });
    let answer: tonic::Response<Said> = grpc.unary(request, path, codec).await?;
    println!("Say: {}", answer.get_ref().text);

    for times in [3, MOST + 1] {
        let text = "again".to_owned();
        let codec = ProstCodec::<Often, Said>::default();
        grpc.ready().await?;
        let path = PathAndQuery::from_static(REPEAT);
        let request = tonic::Request::new(Often { text, times });
        match grpc.server_streaming(request, path, codec).await {
            Ok(answers) => {
                let mut answers = answers.into_inner();
                while let Some(said) = answers.message().await? {
                    println!("Repeat: {}", said.text);
                }
            }
            Err(status) => println!("Repeat: {:?}, {}", status.code(), status.message()),
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let (store, options) = stillwire_examples::place();
    let store = Store::from_address(&store, &options)?;
    let mut listener = store.listen(Config::default()).await?;
    let ticket = listener.ticket().clone();

    let asking = tokio::spawn(ask(ticket));
    let connection = listener.accept().await?;
    serve(connection).await?;
    asking.await??;
    listener.stop().await?;
    Ok(())
}
