//! Any line: the implementation under test answers one JSON object, whatever it is asked.

use stillwire_conformance::iut::Iut;

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let mut iut = Iut::new();
    for line in data.split(|byte| *byte == b'\n') {
        let answer = iut.answer(line);
        assert!(!answer.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(value.is_object());
    }
}
