//! What the rest of the origin relies on, on a folder, on a store with conditional writes, and on a folder elsewhere.

use super::*;
use crate::receive::{ReceiveOptions, Receiving, receive};
use object_store::memory::InMemory;
use tempfile::TempDir;

const A: &str = "game/demo/media/a";
const B: &str = "game/demo/media/b";

async fn stores() -> ([TempDir; 2], Receiving, [Store; 3]) {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("folder"));
    let local = |folder: &TempDir| Store::open(folder.path().to_str().expect("text")).expect("store");
    let token = "a long token".to_owned();
    let anywhere = "127.0.0.1:0".parse().expect("address");
    let receiving = receive(ReceiveOptions::new(local(&folders[1]), anywhere, token.clone())).await;
    let receiving = receiving.expect("listening");
    let remote = Store::open_remote(&receiving.url(), &token).expect("store");
    let stores = [local(&folders[0]), Store::of_objects(Arc::new(InMemory::new())), remote];
    (folders, receiving, stores)
}

#[tokio::test]
async fn bounds_of_reads_and_listings() {
    let (_folders, _receiving, stores) = stores().await;
    for store in stores {
        for name in ["game/a/media/1", "game/a/media/2", "game/b/media/3"] {
            store.replace(name, Bytes::from_static(b"0123456789")).await.expect("written");
        }
        assert_eq!(store.read("game/a/media/1", 10).await.expect("read"), "0123456789");
        assert!(matches!(store.read("game/a/media/1", 9).await, Err(StoreError::TooLong { .. })));
        assert!(store.read("game/a/media/4", 9).await.expect_err("missing").is_not_found());
        assert_eq!(store.list_bounded("game/a", 2).await.expect("listed").len(), 2);
        assert_eq!(store.list_bounded("", 3).await.expect("listed").len(), 3);
        assert!(matches!(store.list_bounded("", 2).await, Err(StoreError::TooMany { .. })));
    }
}

#[tokio::test]
async fn what_exists_is_not_created_again() {
    let (_folders, _receiving, stores) = stores().await;
    for store in stores {
        assert!(store.create(A, Bytes::from_static(b"1")).await.expect("written"));
        assert!(!store.create(A, Bytes::from_static(b"2")).await.expect("kept"));
        assert_eq!(store.read(A, 9).await.expect("read"), "1");
        assert!(matches!(store.swap(A, Bytes::new(), None).await, Err(StoreError::Changed { .. })));
    }
}

#[tokio::test]
async fn a_swap_on_another_state_is_refused() {
    let (_folders, _receiving, stores) = stores().await;
    // A folder has locks for it.
    for store in stores.iter().filter(|store| store.folder().is_none()) {
        store.swap(A, Bytes::from_static(b"1"), None).await.expect("written");
        let (_, seen) = store.read_revision(A, 9).await.expect("read");
        store.swap(A, Bytes::from_static(b"22"), Some(seen.clone())).await.expect("as seen");
        let refused = store.swap(A, Bytes::from_static(b"333"), Some(seen.clone())).await;
        assert!(matches!(refused, Err(StoreError::Changed { .. })));
        assert_eq!(store.read(A, 9).await.expect("read"), "22");
        store.delete(A).await.expect("deleted");
        assert!(store.swap(A, Bytes::from_static(b"4"), Some(seen)).await.is_err());
        assert!(store.state(A).await.expect_err("gone").is_not_found());
    }
}

#[tokio::test]
async fn streams_come_in_pieces() {
    let (_folders, _receiving, stores) = stores().await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for store in stores {
        let mut upload = store.upload(A);
        for part in bytes.chunks(300_000) {
            upload.write(Bytes::copy_from_slice(part)).await.expect("written");
        }
        assert!(store.size(A).await.expect_err("not yet").is_not_found());
        upload.finish().await.expect("finished");
        assert_eq!(store.size(A).await.expect("there"), 1_000_000);
        let pieces: Vec<Bytes> = store.stream(A, 10..900_010, None).try_collect().await.expect("read");
        assert_eq!(pieces.concat(), bytes[10..900_010]);
        assert!(store.folder().is_none() || pieces.iter().all(|piece| piece.len() as u64 <= PIECE_BYTES));
        assert!(store.read_range(A, 999_999..1_000_001).await.is_err(), "it ends earlier");
    }
}

#[tokio::test]
async fn small_and_large_uploads_appear_whole() {
    let (_folders, _receiving, stores) = stores().await;
    for store in stores {
        for bytes in [0, 1, 8 << 20, (8 << 20) + 1, 20 << 20] {
            let mut upload = store.upload(A);
            for part in vec![7; bytes].chunks(1 << 20) {
                upload.write(Bytes::copy_from_slice(part)).await.expect("written");
            }
            upload.finish().await.expect("finished");
            assert_eq!(store.read(A, 21 << 20).await.expect("read"), vec![7; bytes]);
            let mut upload = store.upload(B);
            upload.write(vec![7; bytes].into()).await.expect("written");
            upload.abort().await;
            assert!(store.size(B).await.expect_err("given up").is_not_found());
        }
    }
}

#[tokio::test]
async fn a_stream_never_mixes_two_states() {
    let (_folders, _receiving, stores) = stores().await;
    for store in stores {
        store.replace(A, vec![1; 1_000_000].into()).await.expect("written");
        let state = store.state(A).await.expect("there");
        let whole: Result<Vec<Bytes>, _> =
            store.stream(A, 0..1_000_000, state.tag.clone()).try_collect().await;
        assert_eq!(whole.expect("unchanged").concat(), vec![1; 1_000_000]);
        store.replace(A, vec![2; 1_000_000].into()).await.expect("written");
        let mixed: Result<Vec<Bytes>, _> = store.stream(A, 0..1_000_000, state.tag).try_collect().await;
        assert!(mixed.is_err(), "the state is gone");
    }
}
