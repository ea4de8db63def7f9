//! A refusal says what to do about it.

use super::*;

fn refusal(store: &BlobStore, date: &str, word: &str) -> String {
    let operation = if store.home().owns() {
        Operation::Prepare
    } else {
        Operation::GetToken { id: id() }
    };
    let exchange = store.begin(&first_try(operation), NOW).unwrap();
    let head = [("x-ms-error-code", word), ("date", date)];
    let (_, result) = play(exchange, vec![Ok(answer(403, &head, ""))]);
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(!failure.may_have_landed);
    assert!(!failure.detail.contains('\n'));
    failure.detail
}

fn holding(rest: &str) -> BlobStore {
    BlobStore::dialer(
        &Url::parse(ENDPOINT).unwrap(),
        sas(rest),
        sas(rest),
        Names::default(),
        Limits::default(),
    )
    .unwrap()
}

const ON_TIME: &str = "Mon, 11 Jan 2027 08:00:20 GMT";

#[test]
fn an_expired_sas_says_when_it_expired() {
    let detail = refusal(
        &holding("se=2027-01-11T08%3A00%3A20Z&sp=r"),
        ON_TIME,
        "AuthenticationFailed",
    );
    assert_eq!(
        detail,
        "fetching from container \"token\" at http://127.0.0.1:10000/acc: \
         the SAS expired at 2027-01-11T08:00:20Z: get a new ticket \
         (HTTP 403 AuthenticationFailed)"
    );
}

#[test]
fn the_services_clock_decides_about_a_sas() {
    // By our clock it holds; by the service's it does not, and the service is asked.
    let late = refusal(
        &holding("se=2027-01-12T08%3A00%3A00Z&sp=r"),
        "Tue, 12 Jan 2027 08:00:01 GMT",
        "AuthenticationFailed",
    );
    assert!(late.contains("expired at 2027-01-12T08:00:00Z"), "{late}");
    let early = refusal(
        &holding("st=2027-01-11T09%3A00%3A00Z&se=2027-01-12T08%3A00%3A00Z&sp=r"),
        ON_TIME,
        "AuthenticationFailed",
    );
    assert!(
        early.contains("holds only from 2027-01-11T09:00:00Z"),
        "{early}"
    );
}

#[test]
fn a_sas_too_narrow_says_which_permission_it_lacks() {
    let detail = refusal(
        &holding("se=2027-01-12&sp=l"),
        ON_TIME,
        "AuthorizationPermissionMismatch",
    );
    assert!(
        detail.contains("lacks permission 'r', it grants \"l\""),
        "{detail}"
    );

    let narrow = sas("sp=l");
    let grants = Some((narrow.expose(), narrow.expose()));
    let session = dialer().session(id(), Role::Dialer, grants).unwrap();
    for (operation, letter) in [
        (write(b"x"), "'a'"),
        (read(1), "'r'"),
        (rotate(Direction::Outbound, 1), "'c'"),
    ] {
        let exchange = session.begin(&first_try(operation), NOW).unwrap();
        let outcome = code(403, "AuthorizationPermissionMismatch");
        let failure = play(exchange, vec![outcome]).1.unwrap_err();
        assert!(failure.detail.contains(letter), "{}", failure.detail);
    }
}

#[test]
fn a_skewed_clock_is_named_from_five_minutes_on() {
    for (date, said) in [
        ("Mon, 11 Jan 2027 08:05:28 GMT", Some("6 minutes behind")),
        ("Mon, 11 Jan 2027 07:00:27 GMT", Some("60 minutes ahead")),
        ("Mon, 11 Jan 2027 08:05:27 GMT", None),
        ("Mon, 11 Jan 2027 07:55:27 GMT", None),
        ("gibberish", None),
    ] {
        for store in [listener(), holding("sp=r")] {
            let detail = refusal(&store, date, "AuthenticationFailed");
            match said {
                Some(said) => assert!(detail.contains(said), "{date}: {detail}"),
                None => assert!(!detail.contains("clock"), "{date}: {detail}"),
            }
        }
    }
}

#[test]
fn a_wrong_key_names_the_account() {
    let detail = refusal(&listener(), ON_TIME, "AuthenticationFailed");
    assert!(
        detail.contains("the key is not that of account \"acc\": check AZURE_STORAGE_KEY"),
        "{detail}"
    );
}

#[test]
fn a_sas_of_another_key_or_resource_is_not_valid_here() {
    let detail = refusal(&holding("sp=r"), ON_TIME, "AuthorizationFailure");
    assert!(detail.contains("the SAS is not valid here"), "{detail}");
    let plain = refusal(
        &holding("sp=r&spr=https"),
        ON_TIME,
        "AuthorizationProtocolMismatch",
    );
    assert!(plain.contains("https only"), "{plain}");
}

#[test]
fn a_sas_that_creates_but_does_not_overwrite_says_that_something_is_there() {
    let knock = Operation::PutHandshake {
        id: id(),
        message: Bytes::from_static(b"m"),
    };
    let exchange = dialer().begin(&first_try(knock), NOW).unwrap();
    let outcome = code(403, "AuthorizationPermissionMismatch");
    let failure = play(exchange, vec![outcome]).1.unwrap_err();
    assert!(
        failure
            .detail
            .contains("something is there, and the SAS grants \"c\" but no overwriting"),
        "{}",
        failure.detail
    );
}
