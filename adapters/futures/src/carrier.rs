//! A carrier as async code sees it: somebody who performs one request.

use futures_util::future::BoxFuture;
use std::sync::Arc;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::tokens::Grants;
use stillwire_core::store::{Failure, Profile, Reply, Request, Role};

/// How a request ends.
pub type Outcome = Result<Reply, Failure>;

/// Performs requests on storage.
///
/// Tries are made once: whether to try again is the machine's decision. A future that is dropped
/// may or may not have taken effect.
pub trait Perform: Send + Sync + 'static {
    /// Performs one try of one request, within [`Request::timeout`] where that can be held.
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome>;
}

/// Storage on which dialers and listeners meet.
pub trait Carrier: Perform {
    /// The carrier's numbers.
    fn profile(&self) -> Profile;

    /// Opens our end of an established session. The result performs the operations of that
    /// session: writing, reading, rotation and, for a listener, removing what belongs to it.
    /// `grants` is what the listener lets a dialer use; a listener itself needs none.
    fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<&Grants>,
    ) -> Result<Arc<dyn Perform>, Failure>;
}
