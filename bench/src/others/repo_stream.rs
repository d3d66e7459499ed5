//! repo-stream 0.5 (alpha): reads from memory, checks hash, order, layer and completeness.

use repo_stream::DriverBuilder;

pub fn verify(runtime: &tokio::runtime::Runtime, car: &[u8]) -> usize {
    runtime.block_on(async {
        let builder = DriverBuilder::new().with_mem_limit_mb(4096);
        let Ok(mut car) = builder.load_car(car).await else { panic!("a CAR") };
        let mut records = 0;
        while let Some(chunk) = car.next_chunk_strict(256).expect("a tree") {
            records += chunk.len();
        }
        records
    })
}
