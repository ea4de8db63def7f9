//! The machine of commonware-stream against the real crate of two older eras, 0.0.62 and 0.0.63
//! (`conformance/peers/commonware-old`), over TCP on the loopback, both roles.
//!
//! `STILLWIRE_COMMONWARE_OLD_PEER` names its program; `cargo xtask test --only commonware-old`
//! builds it.

mod crate_peer;

use crate_peer::{Wrong, config, renamed};
use stillwire_core::commonware::Profile;

const OLD: [Profile; 2] = [Profile::A, Profile::B];

fn program() -> Option<String> {
    crate_peer::program("STILLWIRE_COMMONWARE_OLD_PEER")
}

#[test]
fn we_dial_the_crate() {
    let Some(program) = program() else { return };
    for profile in OLD {
        crate_peer::we_dial(&program, config(profile));
    }
}

#[test]
fn the_crate_dials_us() {
    let Some(program) = program() else { return };
    for profile in OLD {
        crate_peer::it_dials(&program, config(profile));
    }
}

/// 0.0.63 forgot the namespace; an end with another one has to be taken, or we are not that era.
#[test]
fn era_b_does_not_bind_the_namespace() {
    let Some(program) = program() else { return };
    crate_peer::we_dial(&program, renamed(Profile::B));
    crate_peer::it_dials(&program, renamed(Profile::B));
}

fn wrong() -> Vec<Wrong> {
    let mut all = vec![Wrong::namespace(Profile::A)];
    for profile in OLD {
        all.push(Wrong::identity(profile));
        for ours in [Profile::A, Profile::B, Profile::V0, Profile::V1] {
            if ours != profile {
                all.push(Wrong::era(ours, profile));
            }
        }
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
