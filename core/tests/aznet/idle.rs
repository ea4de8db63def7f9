//! What a connection costs that carries nothing.

use crate::world::World;
use std::time::Duration;
use stillwire_core::Channel;
use stillwire_core::aznet::{Config, Policy};

/// Looks of a Go side in an hour: one every 500 ms (wire page, Defaults).
const GO: u64 = 7_200;

/// Looks, and requests in all, that the dialer makes in an hour, once a silent minute is over.
fn an_hour(policy: Policy) -> (u64, u64) {
    let config = Config {
        policy,
        ..Config::default()
    };
    let mut world = World::new(config.clone());
    let (mut dialer, mut listener) = world.dial(config).unwrap();
    world.run(
        &mut [&mut dialer, &mut listener],
        true,
        Duration::from_secs(120),
    );
    let before = *dialer.conn.stats();
    world.run(
        &mut [&mut dialer, &mut listener],
        true,
        Duration::from_secs(3_600),
    );
    let after = dialer.conn.stats();
    assert_eq!(dialer.conn.error(), None);
    assert_eq!(listener.conn.error(), None, "{policy:?}: it was heard");
    let looks = (after.reads + after.empty_reads) - (before.reads + before.empty_reads);
    let all = after.requests() - before.requests();
    // The world's places take few writes. A turn costs a request, and the peer's a look more.
    let turns = after.rotations - before.rotations;
    (looks - turns / 2, all - turns - turns / 2)
}

#[test]
fn an_idle_hour_takes_a_look_for_every_pause_and_a_ping_every_half_minute() {
    // Milliseconds between two looks; all as docs/src/cost.md has them.
    for (policy, pause, requests) in [
        (Policy::Latency, 250, 14_520),
        (Policy::Balanced, 2_000, 1_920),
        (Policy::Thrift, 15_000, 360),
    ] {
        let (looks, all) = an_hour(policy);
        let wanted = 3_600_000 / pause;
        let is_about = |counted: u64, named: u64| counted.abs_diff(named) * 100 <= named;
        assert!(is_about(looks, wanted), "{policy:?}: {looks} looks");
        assert!(is_about(all, requests), "{policy:?}: {all} requests");
    }
}

#[test]
fn idle_looks_are_at_most_a_third_of_gos_and_with_thrift_a_twentieth() {
    assert!(an_hour(Policy::Balanced).0 * 3 <= GO);
    assert!(an_hour(Policy::Thrift).0 * 20 <= GO);
}
