//! What a seed decides before the first event.

use crate::rng::Rng;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use stillwire_core::asoc::{Config, Limits, NodeConfig, NodeId, Profile, Suite};

pub(super) const SECOND: u64 = 1_000_000;
/// The wall clock when a run begins, in seconds.
pub(super) const EPOCH: u64 = 1_700_000_000;
pub(super) const COMMUNITY: &str = "simulated";
pub(super) const KEY: &[u8] = b"the key that all simulated nodes share";
/// Bytes of a header.
pub(super) const HEAD: usize = 14;
/// The attacker's address.
pub(super) const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 6, 6, 6));

/// The address of node `index`.
pub(super) fn address(index: usize) -> SocketAddr {
    let [.., high, low] = (index as u32 + 1).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 9000)
}

pub(super) fn name(index: usize) -> NodeId {
    NodeId::from_bytes(((index as u128 + 1) * 0x0101_0101_0101).to_be_bytes())
}

/// How likely things go wrong, in permille, and for how long.
pub(super) struct Scene {
    pub(super) nodes: usize,
    pub(super) hardened: bool,
    /// Until then things go wrong; after it the cluster has time to find itself again.
    pub(super) trouble: u64,
    pub(super) end: u64,
    pub(super) lose: u32,
    pub(super) repeat: u32,
    pub(super) cut: u32,
    pub(super) alter: u32,
    /// Longest delay of a packet, in microseconds.
    pub(super) delay: u64,
    /// Restarts, and attacks, of the whole run.
    pub(super) restarts: u64,
    pub(super) attacks: u64,
    /// How far each clock is off, in seconds, plus 100.
    pub(super) clocks: Vec<u64>,
    /// Nodes that have the attacker's address among their static peers.
    pub(super) misled: Vec<bool>,
    /// When the cluster's key is changed, if it is.
    pub(super) rotation: Option<u64>,
    profile: Profile,
}

impl Scene {
    pub(super) fn draw(seed: u64, rng: &mut Rng) -> Self {
        // Large clusters take long: one seed in forty, and one in 120 the largest.
        let large = seed % 40 == 13;
        let nodes = match seed % 120 {
            13 => 50,
            _ if large => rng.range(9, 30),
            _ => rng.range(2, 8),
        } as usize;
        let hardened = rng.chance(500);
        let suite = rng.pick(&[Suite::Aes256Gcm, Suite::ChaCha20Poly1305]);
        let trouble = rng.range(20, if large { 40 } else { 120 }) * SECOND;
        let calm = rng.chance(200);
        let rate = |rng: &mut Rng, most: u64| {
            if calm { 0 } else { rng.below(most) as u32 }
        };
        Self {
            nodes,
            hardened,
            trouble,
            end: trouble + 150 * SECOND,
            lose: rate(rng, 300),
            repeat: rate(rng, 200),
            cut: rate(rng, 20),
            alter: if rng.chance(500) { rate(rng, 40) } else { 0 },
            delay: rng.range(100, 400_000),
            restarts: if calm { 0 } else { rng.below(4) },
            attacks: if calm { 0 } else { rng.below(40) },
            clocks: (0..nodes).map(|_| rng.range(72, 128)).collect(),
            rotation: rng.chance(500).then(|| rng.below(trouble)),
            misled: (0..nodes).map(|_| rng.chance(250)).collect(),
            profile: if hardened {
                Profile::Hardened(suite)
            } else {
                Profile::Default
            },
        }
    }

    /// The settings of node `index`. Some have a neighbour among their static peers.
    pub(super) fn config(&self, index: usize) -> NodeConfig {
        let mut static_peers = Vec::new();
        if index % 3 == 1 {
            static_peers.push(address(index - 1));
        }
        if self.misled[index] {
            static_peers.push(SocketAddr::new(ATTACKER, 9000));
        }
        NodeConfig {
            connection: Config {
                profile: self.profile,
                max_frame: 4096,
                chunk: 1000,
                ..Config::default()
            },
            limits: Limits {
                connections: 400,
                connections_per_hour: 100_000,
                lock_out: Duration::from_secs(20),
                ..Limits::default()
            },
            community: COMMUNITY.to_owned(),
            static_peers,
            ..NodeConfig::default()
        }
    }
}
