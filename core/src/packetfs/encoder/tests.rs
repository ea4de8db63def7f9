use super::*;
use crate::crypto::{Rng, Secret};
use crate::error::Class;
use crate::packetfs::Descriptor;
use crate::packetfs::blob::Seeded;
use crate::packetfs::rebuild::Rebuilder;
use std::vec;

const BLOB: usize = 8 << 20;

fn blob() -> Vec<u8> {
    let mut bytes = vec![0; BLOB];
    Rng::from_seed([1; 32]).fill(&mut bytes);
    bytes
}

fn draw(rng: &mut Rng, below: usize) -> usize {
    u32::from_be_bytes(rng.array()) as usize % below
}

/// An object of the blob's pieces: 4 to 64 KiB at any offset, a tenth of them XORed or added, and
/// so many of a hundred pieces foreign. Gives how many bytes are the blob's.
fn object(blob: &[u8], size: usize, foreign: usize, seed: u8) -> (Vec<u8>, usize) {
    let mut rng = Rng::from_seed([seed; 32]);
    let (mut object, mut own) = (Vec::new(), 0);
    while object.len() < size {
        let length = 4_096 + draw(&mut rng, 60 * 1_024 + 1);
        let mut piece = vec![0; length];
        if draw(&mut rng, 100) < foreign {
            rng.fill(&mut piece);
        } else {
            let offset = draw(&mut rng, blob.len() - length);
            piece.copy_from_slice(&blob[offset..offset + length]);
            let value = 1 + draw(&mut rng, 255) as u8;
            match draw(&mut rng, 20) {
                0 => Transform::Xor(value).apply(&mut piece),
                1 => Transform::Add(value).apply(&mut piece),
                _ => {}
            }
            own += length;
        }
        object.extend_from_slice(&piece);
    }
    (object, own)
}

fn encode(blob: &impl Blob, index: &Index, object: &[u8], segment: usize) -> Encoded {
    let mut encoder = Encoder::new(index, blob, usize::MAX);
    for part in object.chunks(segment) {
        encoder.push(part).unwrap();
    }
    encoder.finish().unwrap()
}

fn rebuilt(blob: &impl Blob, blueprint: &Blueprint) -> Vec<u8> {
    let mut rebuilder = Rebuilder::new(blueprint.clone());
    let (mut object, mut window) = (Vec::new(), Vec::new());
    while let Some((index, sound)) = rebuilder.next(blob, &mut window) {
        assert!(sound, "window {index}");
        object.extend_from_slice(&window);
    }
    object
}

#[test]
fn pieces_of_the_blob_go_by_reference() {
    let blob = blob();
    let index = Index::build(&blob, Index::memory_for(BLOB as u64)).unwrap();
    let (object, own) = object(&blob, 8 << 20, 0, 2);
    let encoded = encode(&blob, &index, &object, usize::MAX);
    assert_eq!(rebuilt(&blob, &encoded.blueprint), object);
    let wire = encoded.blueprint.bytes().len();
    assert!(wire * 100 <= object.len(), "{wire} of {}", object.len());
    assert!(encoded.referenced * 1_000 >= own as u64 * 998);
}

#[test]
fn foreign_bytes_become_literals_and_nothing_else_does() {
    let blob = blob();
    let index = Index::build(&blob, Index::memory_for(BLOB as u64)).unwrap();
    let (object, own) = object(&blob, 8 << 20, 20, 3);
    let foreign = object.len() - own;
    assert!(foreign > object.len() / 10 && foreign < object.len() / 3);
    for segment in [usize::MAX, 1 << 20] {
        let encoded = encode(&blob, &index, &object, segment);
        assert_eq!(rebuilt(&blob, &encoded.blueprint), object);
        let wire = encoded.blueprint.bytes().len();
        assert!(
            wire >= foreign && wire <= foreign + object.len() / 100,
            "{wire}"
        );
    }
}

#[test]
fn a_blob_without_the_object_costs_little_more_than_the_object() {
    let blob = blob();
    let index = Index::build(&blob, 1 << 20).unwrap();
    let mut object = vec![0; 300_000];
    Rng::from_seed([9; 32]).fill(&mut object);
    for object in [object, vec![0; 300_000], vec![], vec![1]] {
        let encoded = encode(&blob, &index, &object, usize::MAX);
        assert_eq!(rebuilt(&blob, &encoded.blueprint), object);
        assert_eq!(encoded.referenced, 0);
        assert!(encoded.blueprint.bytes().len() <= object.len() + object.len() / 1_000 + 60);
    }
}

#[test]
fn a_seeded_blob_is_never_held_whole() {
    let blob = Seeded::new(Secret::from([4; 32]), BLOB as u64).unwrap();
    let index = Index::build(&blob, Index::memory_for(BLOB as u64)).unwrap();
    let mut piece = vec![0; 50_000];
    blob.read(1_234_567, &mut piece).unwrap();
    Transform::Add(77).apply(&mut piece);
    let encoded = encode(&blob, &index, &piece, usize::MAX);
    let descriptors: Vec<_> = encoded.blueprint.descriptors().collect();
    let expected = Descriptor::Reference {
        offset: 1_234_567,
        length: 50_000,
        transform: Transform::Add(77),
    };
    assert_eq!(descriptors, [expected]);
}

#[test]
fn a_piece_cut_into_segments_is_one_reference() {
    let blob = blob();
    let index = Index::build(&blob, Index::memory_for(BLOB as u64)).unwrap();
    let encoded = encode(&blob, &index, &blob[1_000..3_000_000], 10_000);
    assert_eq!(encoded.blueprint.descriptors().count(), 1);
    assert_eq!(encoded.referenced, 2_999_000);
}

#[test]
fn the_index_stays_within_its_memory() {
    let blob = blob();
    for memory in [0, 8, 1_000, 100_000, 1 << 20] {
        let index = Index::build(&blob, memory).unwrap();
        assert!(index.memory() <= memory.max(8), "{memory}");
        let (object, _) = object(&blob, 1 << 20, 0, 5);
        let encoded = encode(&blob, &index, &object, usize::MAX);
        assert_eq!(rebuilt(&blob, &encoded.blueprint), object);
    }
}

#[test]
fn runs_and_repetitions_fill_no_table_and_are_found() {
    let mut blob = vec![0; 1 << 20];
    for (at, byte) in blob.iter_mut().enumerate() {
        *byte = (at % 7) as u8;
    }
    Rng::from_seed([6; 32]).fill(&mut blob[500_000..600_000]);
    let index = Index::build(&blob, 200_000).unwrap();
    let object = blob[490_000..610_000].to_vec();
    let encoded = encode(&blob, &index, &object, usize::MAX);
    assert_eq!(rebuilt(&blob, &encoded.blueprint), object);
    assert!(encoded.referenced >= 100_000);
}

#[test]
fn a_blueprint_over_its_limit_is_refused() {
    let blob = blob();
    let index = Index::build(&blob, 1_000).unwrap();
    let mut encoder = Encoder::new(&index, &blob, 1_000);
    let class = encoder.push(&[3; 2_000]).err().and_then(|e| e.class());
    assert_eq!(class, Some(Class::Limit));
}
