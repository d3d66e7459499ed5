// The steps, in order. Each is a name and what is done; all share one demo, and what one step found out is in `state`.

export const steps = [
  ['the desk of the demo', async ({ demo, visitor }) => {
    const stranger = await visitor('stranger')
    await stranger.go(demo.desk)
    await stranger.says('alice.north.test')
    await stranger.look('desk')
  }],
]
