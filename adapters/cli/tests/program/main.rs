//! The program as its users meet it: real processes, over a directory and, when
//! `STILLWIRE_AZURITE_BLOB` names an emulator's blob endpoint, over blob storage.

mod asoc;
mod bad_input;
mod channels;
#[cfg(target_os = "linux")]
mod discovery;
mod examine;
mod files;
mod files_with_go;
mod forwarding;
#[cfg(target_os = "linux")]
mod full;
mod harm;
mod hostile;
mod interrupts;
mod over_tcp;
mod packetfs;
mod printed;
mod rotation;
mod service;
mod services;
mod settings;
mod snapshots;
mod ssh;
mod streams;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod unreachable;
