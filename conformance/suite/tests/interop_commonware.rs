//! The machine of commonware-stream against the real crate (`conformance/peers/commonware`), over
//! TCP on the loopback, both roles and both versions that the crate has.
//!
//! `STILLWIRE_COMMONWARE_PEER` names its program; `cargo xtask test --only commonware` builds it.

mod crate_peer;

use crate_peer::{Wrong, config};
use stillwire_core::commonware::Profile;

const CURRENT: [Profile; 2] = [Profile::V0, Profile::V1];

fn program() -> Option<String> {
    crate_peer::program("STILLWIRE_COMMONWARE_PEER")
}

#[test]
fn we_dial_the_crate() {
    let Some(program) = program() else { return };
    for profile in CURRENT {
        crate_peer::we_dial(&program, config(profile));
    }
}

#[test]
fn the_crate_dials_us() {
    let Some(program) = program() else { return };
    for profile in CURRENT {
        crate_peer::it_dials(&program, config(profile));
    }
}

fn wrong() -> Vec<Wrong> {
    let mut all = Vec::new();
    for profile in CURRENT {
        let other = CURRENT.into_iter().find(|other| *other != profile).unwrap();
        all.push(Wrong::namespace(profile));
        all.push(Wrong::identity(profile));
        all.push(Wrong::era(other, profile));
    }
    for old in [Profile::A, Profile::B] {
        all.push(Wrong::era(old, Profile::V0));
    }
    all
}

#[test]
fn the_crate_refuses_what_is_wrong_with_a_dialer() {
    let Some(program) = program() else { return };
    for wrong in wrong() {
        wrong.we_dial(&program);
    }
}

#[test]
fn we_refuse_what_is_wrong_with_the_crate_as_a_dialer() {
    let Some(program) = program() else { return };
    for wrong in wrong() {
        wrong.it_dials(&program);
    }
}
