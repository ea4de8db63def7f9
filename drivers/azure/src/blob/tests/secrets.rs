//! No formatted text holds a signature or a key.

use super::*;
use crate::sas::{self, Protocol, ServiceSas};
use crate::{AccountKey, SharedKeyPolicy, StoreAddress};
use base64ct::{Base64, Encoding as _};
use core::fmt::Debug;
use std::sync::Arc;

fn clean(thing: &dyn Debug) {
    for text in [format!("{thing:?}"), format!("{thing:#?}")] {
        assert!(!text.contains(PLANTED), "{text}");
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}

#[test]
fn debug_output_of_stores_sessions_exchanges_and_steps_is_clean() {
    let (store, session) = (dialer(), dialing());
    clean(&store);
    clean(&session);
    clean(&listener());
    clean(&accepting());
    for operation in [write(b"x"), read(1), Operation::GetToken { id: id() }] {
        let mut exchange = session.begin(&first_try(operation), NOW).unwrap();
        clean(&exchange);
        clean(&exchange.step());
        exchange.handle(code(403, "AuthorizationFailure"));
        clean(&exchange);
        clean(&exchange.step());
        clean(&over(&exchange).unwrap_err());
        assert!(!over(&exchange).unwrap_err().to_string().contains(PLANTED));
    }
    let create = Operation::CreateSession {
        id: id(),
        mark: [0; 16],
    };
    let mut exchange = listener().begin(&first_try(create), NOW).unwrap();
    for _ in 0..3 {
        exchange.handle(ok(201));
    }
    let Step::Done(Ok(Reply::Session { req, .. })) = exchange.step() else {
        panic!("no session")
    };
    let signature = req.split("sig=").nth(1).unwrap();
    assert!(!format!("{:?}", exchange.step()).contains(signature));
    assert!(!format!("{exchange:?}").contains(signature));
}

#[test]
fn debug_output_of_credentials_and_tickets_is_clean() {
    let sas = sas("sp=r&skoid=x");
    clean(&sas);
    assert_eq!(
        format!("{sas:?}"),
        "Sas(sv=2021-12-02&sp=r&skoid=REDACTED&sig=REDACTED)"
    );
    assert_eq!(sas.parameter("sig"), None);
    assert_eq!(sas.parameter("SIG"), None);
    clean(&Credential::Sas(sas));
    clean(&Credential::shared_key("acc", "c2VjcmV0").unwrap());
    clean(&AccountKey::parse("c2VjcmV0").unwrap());

    let key = AccountKey::parse("c2VjcmV0").unwrap();
    let minted = ServiceSas {
        service: Service::Blob,
        resource: "c",
        permissions: "r",
        start: None,
        expiry: NOW,
        protocol: Protocol::Https,
        version: sas::VERSION,
    }
    .sign("acc", &key)
    .unwrap();
    let signature = minted.params().find(|(name, _)| *name == "sig").unwrap().1;
    assert!(!format!("{minted:?}").contains(signature));

    let ticket = listener().ticket(NOW, Duration::from_secs(60)).unwrap();
    let signature = ticket.handshake.expose().split("sig=").nth(1).unwrap();
    assert!(!format!("{ticket:?}").contains(signature));

    let address = StoreAddress::parse(&format!(
        "azblob+http://acc:c2VjcmV0@h/acc?sv=1&sig={PLANTED}"
    ));
    clean(&address.unwrap().unwrap());
    let policy = SharedKeyPolicy::new(Service::Blob, "acc", key, Arc::new(|| NOW));
    clean(&policy);
}

#[test]
fn errors_about_secrets_do_not_quote_them() {
    for text in [
        format!("azblob+http://acc:%25{PLANTED}@h/acc"),
        format!("azblob+http://h/acc?sv=1&{PLANTED}"),
        format!("azblob+http://h/acc?sig={PLANTED}&comp=list"),
    ] {
        let error = StoreAddress::parse(&text).unwrap().unwrap_err();
        clean(&error);
        assert!(!error.to_string().contains(PLANTED));
    }
    let error =
        crate::Account::from_connection_string(&format!("AccountKey={PLANTED}")).unwrap_err();
    assert!(!error.to_string().contains(PLANTED));
}

#[test]
fn the_wire_gets_the_secret_all_the_same() {
    let exchange = dialing().begin(&first_try(read(1)), NOW).unwrap();
    assert!(sent(&exchange).url().as_str().contains(PLANTED));
    let text = Base64::encode_string(b"secret");
    assert_eq!(text, "c2VjcmV0", "the key planted above");
}
