// Many accounts at once: everyone whom the owner follows, and choices for several in the list.

const handle = (demo, name) => demo.people.find((one) => one.handle.startsWith(`${name}.`)).handle

export const manySteps = [
  ['everyone whom the owner follows: a plan, its start, and the list', async ({ demo, visitor, fail }) => {
    const owner = await visitor('owner')
    await owner.go('/add')
    await owner.look('add')
    const offered = await owner.page.$eval('#follows', (field) => field.value)
    if (offered !== handle(demo, 'alice')) fail(`the follows of ${offered} are offered`)
    await owner.press('form[action="/add/plan"]:has(#follows) button[type=submit]')
    await owner.page.waitForSelector('form[action^="/add/plan/"]')
    for (const name of ['bruno', 'chiara', 'deniz']) await owner.says(handle(demo, name))
    await owner.look('add-plan')
    await owner.press('form[action^="/add/plan/"] button[type=submit]')
    await owner.page.waitForFunction(() => document.readyState === 'complete' && !document.querySelector('[data-live]'))
    await owner.sees('.notice.good')
    await owner.look('add-many')
    await owner.go('/accounts')
    await owner.says(handle(demo, 'chiara'))
    await owner.look('accounts')
    await owner.tick('input[name=did]')
    await owner.page.select('#do', 'pause')
    await owner.press('form[method=post][action="/accounts"] button[type=submit]')
    await owner.sees('[role=status]')
    await owner.go('/accounts?show=paused')
    const paused = await owner.page.$$eval('input[name=did]', (boxes) => boxes.length)
    if (paused !== 1) fail(`${paused} accounts are paused`)
    await owner.look('accounts-paused')
    await owner.page.select('#whom', 'matching')
    await owner.page.select('#do', 'resume')
    await owner.press('form[method=post][action="/accounts"] button[type=submit]')
    await owner.sees('[role=status]')
  }],
]
