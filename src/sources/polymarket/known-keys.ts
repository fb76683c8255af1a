/** Keys of a Gamma market that have been seen or documented; any other key is schema drift and is counted. */
const KEYS = `
  acceptingOrders acceptingOrdersTimestamp active approved archived automaticallyActive automaticallyResolved bestAsk
  bestBid category clearBookOnStart clobRewards clobTokenIds closed closedTime comboStatus competitive conditionId
  createdAt creator customLiveness cyom deploying deployingTimestamp description enableOrderBook endDate endDateIso
  eventStartTime events featured fee feeSchedule feeType feesEnabled fpmmLive funded gameId gameStartTime
  groupItemThreshold groupItemTitle hasReviewedDates holdingRewardsEnabled icon id image lastTradePrice liquidity
  liquidityAmm liquidityClob liquidityNum lowerBound makerBaseFee makerRebatesFeeShareBps manualActivation
  marketMakerAddress marketType negRisk negRiskMarketID negRiskOther negRiskRequestID new oneDayPriceChange
  oneHourPriceChange oneMonthPriceChange oneWeekPriceChange oneYearPriceChange orderMinSize orderPriceMinTickSize
  outcomePrices outcomes pagerDutyNotificationEnabled pendingDeployment positionIds question questionID ready
  readyForCron requiresTranslation resolutionSource resolutionStatus resolvedBy restricted rewardsMaxSpread
  rewardsMinSize rfqEnabled secondsDelay seriesColor showGmpOutcome showGmpSeries slug sportsMarketType spread
  startDate startDateIso submitted_by tags takerBaseFee twitterCardImage umaBond umaEndDate umaResolutionStatus
  umaResolutionStatuses umaReward updatedAt updatedBy upperBound version volume volume1mo volume1moAmm volume1moClob
  volume1wk volume1wkAmm volume1wkClob volume1yr volume1yrAmm volume1yrClob volume24hr volume24hrAmm volume24hrClob
  volumeAmm volumeClob volumeNum
`

export const KNOWN_MARKET_KEYS: ReadonlySet<string> = new Set(KEYS.trim().split(/\s+/))
