//! A folder that a synchronising tool copies to another place: late, out of order, in pieces.

mod common;

use common::{ALL, Dice, End, ask, chunks_at, id};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use stillwire_core::store::{Direction, Operation, Reply, Role};
use stillwire_local::DirectoryStore;
use tempfile::TempDir;

/// Copies what is new in one directory to another, one small step at a time.
struct Sync {
    from: PathBuf,
    to: PathBuf,
    /// Steps each file has behind it.
    files: BTreeMap<PathBuf, u8>,
}

const STEPS: u8 = 4;

impl Sync {
    fn new(from: &Path, to: &Path) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            files: BTreeMap::new(),
        }
    }

    fn look(&mut self, at: &Path) {
        for entry in fs::read_dir(self.from.join(at)).unwrap() {
            let entry = entry.unwrap();
            let path = at.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.look(&path);
            } else if !entry.file_name().to_str().unwrap().starts_with('.') {
                self.files.entry(path).or_insert(0);
            }
        }
    }

    /// One step with any one file; false when all are copied.
    fn step(&mut self, dice: &mut Dice) -> bool {
        self.look(Path::new(""));
        let waiting: Vec<_> = self
            .files
            .iter()
            .filter(|(_, step)| **step < STEPS)
            .collect();
        if waiting.is_empty() {
            return false;
        }
        let path = waiting[dice.below(waiting.len())].0.clone();
        // The reader may have removed it from the first place.
        let Ok(content) = fs::read(self.from.join(&path)) else {
            self.files.insert(path, STEPS);
            return true;
        };
        let to = self.to.join(&path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let step = self.files[&path];
        let cut = dice.below(content.len());
        let partial = match (step, dice.below(3)) {
            (3, _) => content.clone(),
            (_, 0) => content[..cut].to_vec(),
            (_, 1) => vec![0; content.len()],
            _ => {
                let mut zeroed = content.clone();
                zeroed[cut..].fill(0);
                zeroed
            }
        };
        fs::write(&to, partial).unwrap();
        self.files.insert(path, step + 1);
        true
    }
}

const LARGEST: usize = 3_000;
const WRITES: usize = 40;

/// Reads all there is and compares it with the series.
fn drain(end: &End<DirectoryStore>, at: &mut u64, expected: &mut Vec<Vec<u8>>) -> usize {
    let before = *at;
    while let Reply::Data { bytes, .. } = end.read(*at, ALL).unwrap() {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if expected.is_empty() {
                *expected = chunks_at(*at, LARGEST);
                expected.reverse();
            }
            let chunk = expected.pop().unwrap();
            rest = rest.strip_prefix(&chunk[..]).expect("exactly the stream");
            *at += 1;
        }
    }
    (*at - before) as usize
}

fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    let dir = TempDir::new().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let here = DirectoryStore::open(&a).unwrap();
    let there = DirectoryStore::open(&b).unwrap();
    ask(&here, Operation::Prepare).unwrap();
    ask(&there, Operation::Prepare).unwrap();
    let message = b"message 2"[..].into();
    ask(&here, Operation::PutToken { id: id(1), message }).unwrap();
    let mark = [1; 16];
    ask(&here, Operation::CreateSession { id: id(1), mark }).unwrap();

    let writer = End::new(&here, id(1), Role::Listener);
    let reader = End::new(&there, id(1), Role::Dialer);
    let mut sync = Sync::new(&a, &b);
    let (mut sequence, mut written) = (0, 0);
    let (mut at, mut expected, mut has_token) = (0, Vec::new(), false);
    let mut places = 0;
    loop {
        if written < WRITES && dice.below(3) == 0 {
            if written == WRITES / 2 && places == 0 {
                places = 1;
                writer.rotate(Direction::Outbound, 1).unwrap();
            }
            let chunks = chunks_at(sequence, LARGEST);
            let chunks: Vec<&[u8]> = chunks.iter().map(|c| &c[..]).collect();
            writer.write(sequence, &chunks, false).unwrap();
            sequence += chunks.len() as u64;
            written += 1;
        }
        let busy = sync.step(&mut dice);
        match ask(&there, Operation::GetToken { id: id(1) }).unwrap() {
            Reply::Token(token) => {
                assert_eq!(token, b"message 2"[..]);
                has_token = true;
            }
            Reply::Nothing { .. } => assert!(!has_token, "what was whole stays whole"),
            other => panic!("{other:?}"),
        }
        let came = drain(&reader, &mut at, &mut expected);
        assert!(at <= sequence);
        // A tool that copies something once more after it was read and removed does no harm.
        if came > 0 && dice.below(5) == 0 {
            let mut copied: Vec<_> = sync
                .files
                .iter_mut()
                .filter(|(_, s)| **s == STEPS)
                .collect();
            let one = dice.below(copied.len().max(1));
            if let Some((_, step)) = copied.get_mut(one) {
                **step = STEPS - 1;
            }
        }
        if !busy && written == WRITES {
            // Everything in the first place was read: now the reader turns to the next one.
            if places == 1 {
                places = 2;
                reader.rotate(Direction::Inbound, 1).unwrap();
                continue;
            }
            break;
        }
    }
    assert!(has_token, "seed {seed}");
    assert_eq!(at, sequence, "seed {seed}");
    assert!(there.diagnostics().torn > 0, "seed {seed} tore nothing");
}

#[test]
fn a_reader_behind_a_synced_folder_sees_exactly_the_stream() {
    for seed in 1..=8 {
        run(seed);
    }
}
