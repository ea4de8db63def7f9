//! What is told about a refusal, and what is not.

use super::*;
use core::fmt::Debug;

fn prepare(outcome: Outcome) -> Failure {
    run(&listener(), &first_try(Operation::Prepare), vec![outcome])
        .1
        .unwrap_err()
}

#[test]
fn the_services_word_is_found_in_header_xml_and_json() {
    let json = "{\"odata.error\":{\"code\":\"OutOfRangeInput\",\"message\":{}}}";
    let spaced = "{ \"odata.error\" : { \"code\" : \"OutOfRangeInput\" } }";
    let xml = "<?xml version=\"1.0\"?><Error><Code>OutOfRangeInput</Code></Error>";
    let small = "<error xmlns=\"x\"><code>OutOfRangeInput</code><message>no</message></error>";
    let prefixed = "<m:error xmlns:m=\"x\"><m:code>OutOfRangeInput</m:code></m:error>";
    for outcome in [
        answer(400, &[], small),
        answer(400, &[], prefixed),
        answer(400, &[("x-ms-error-code", "OutOfRangeInput")], ""),
        answer(400, &[], json),
        answer(400, &[], spaced),
        answer(400, &[], xml),
    ] {
        let failure = prepare(outcome);
        assert_eq!(failure.kind, FailureKind::Refused);
        assert_eq!(
            failure.detail,
            format!(
                "creating table \"handshake\" at {ENDPOINT}: the service does not take the name \
                 (HTTP 400 OutOfRangeInput)"
            )
        );
    }
    for body in [
        "{\"odata.error\":{\"code\":\"\"}}",
        "{\"odata.error\":{\"code\":\"two words\"}}",
        "{\"odata.error\":{\"code\":7}}",
        "{\"odata.error\":{\"code\"",
        "{\"code\":\"OutOfRangeInput\"}",
        "<m:error><m:code>OutOfRangeInput</code></m:error>",
        "{\"odata.error\":",
    ] {
        let failure = prepare(answer(400, &[], body));
        assert!(failure.detail.ends_with("(HTTP 400)"), "{failure}");
        assert!(failure.detail.contains("is it table storage"), "{failure}");
    }
}

#[test]
fn refusals_of_a_grant_name_what_it_lacks() {
    let narrow = TableStore::dialer(
        &Url::parse(ENDPOINT).unwrap(),
        sas("sp=r&tn=handshake"),
        sas("sp=a&tn=token"),
        Names::default(),
        Limits::default(),
    )
    .unwrap();
    let get = first_try(Operation::GetToken { id: id() });
    let outcome = denied("AuthorizationPermissionMismatch");
    let failure = run(&narrow, &get, vec![outcome.clone()]).1.unwrap_err();
    let lacks = "the SAS lacks permission 'r', it grants \"a\"";
    assert!(failure.detail.contains(lacks), "{failure}");
    let knock = Operation::PutHandshake {
        id: id(),
        message: Bytes::from_static(b"m"),
    };
    let failure = run(&narrow, &first_try(knock), vec![outcome]).1;
    let lacks = "the SAS lacks permission 'a', it grants \"r\"";
    assert!(failure.unwrap_err().detail.contains(lacks));
}

#[test]
fn table_names_are_letters_and_digits() {
    assert!(Names::tables("Handshake7", "token").is_ok());
    for name in ["hand-shake", "7abc", "ab", "tables", "TOKEN"] {
        let names = Names::tables(name, "token");
        assert!(matches!(names, Err(Error::TableName(_))), "{name}");
    }
}

fn clean(thing: &dyn Debug) {
    for text in [format!("{thing:?}"), format!("{thing:#?}")] {
        assert!(!text.contains(PLANTED), "{text}");
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}

#[test]
fn debug_output_of_stores_sessions_exchanges_and_steps_is_clean() {
    let session = dialing();
    clean(&dialer());
    clean(&session);
    clean(&listener());
    clean(&accepting());
    for operation in [
        write(0, &[A.0]),
        write(0, &[A.0, B.0]),
        read(0, 1),
        Operation::GetToken { id: id() },
    ] {
        let mut exchange = session.begin(&first_try(operation), NOW).unwrap();
        clean(&exchange);
        clean(&exchange.step());
        exchange.handle(code(403, "AuthorizationFailure"));
        exchange.handle(code(403, "AuthorizationFailure"));
        clean(&exchange);
        clean(&over(&exchange).unwrap_err());
    }
    let error = TransportError::sent(
        FailureKind::Io,
        format!("error for url ({ENDPOINT}/x?sv=1&sig={PLANTED})"),
    );
    let exchange = session.begin(&first_try(read(0, 1)), NOW).unwrap();
    let failure = play(exchange, vec![Err(error)]).1.unwrap_err();
    assert!(!failure.to_string().contains(PLANTED), "{failure}");
}
